//! Code that means harm, or does it: whatever a script does, its process answers, stops the script, or is found not to come
//! back by the processor time that it takes. What becomes of other applications then is the server's.
//!
//! A process may die of a script: the engine's own faults are why it is one. It must be known then whose fault it was. The
//! test counts how often that happens, and prints it.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use rill::wire::script_link::{Access, AccessSet, Budget, Handler, InstanceId, Question, ToHost, ToServer};

use crate::process::{ME, Process, Silence};

const BAD: InstanceId = InstanceId(9);
/// Processor time after which a host that has not come back is ended, as the server's setting `scripts.kill_ms` is.
const KILL_MS: u64 = 500;
/// Nothing that a test machine is busy with takes longer.
const LATE: Duration = Duration::from_secs(60);

/// What became of one script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has run, or thrown.
    Answered,
    /// A limit was exceeded.
    Stopped,
    /// It was not loaded.
    NotLoaded,
    /// It did not come back.
    Killed,
    /// The process ended.
    Died,
}

/// Functions of one value and what to call them on, the engine's steps of its own and no others: none asks the clock.
const TEXT_CALLS: &[&str] = &[
    "s.trim()",
    "b.trim()",
    "b.trimStart()",
    "b.trimEnd()",
    "s.startsWith(s + 'x')",
    "s.endsWith('x' + s)",
    "s.localeCompare(s + 'x')",
    "s.toUpperCase()",
    "s.toLowerCase()",
    "s.toLocaleUpperCase()",
    "s.indexOf('ba' + s)",
    "s.lastIndexOf('zz')",
    "s.includes('zz')",
    "s.split('')",
    "s.split('b').join('c')",
    "s.slice(1)",
    "s.substring(1)",
    "s.substr(1)",
    "s.padStart(9e5)",
    "s.padEnd(9e5)",
    "s.repeat(2)",
    "s.concat(s)",
    "s.replace('a', s)",
    "s.replaceAll('a', 'bb')",
    "s.replace(/a/g, 'bb')",
    "s.match(/a/g)",
    "Array.from(s.matchAll(/a/g))",
    "s.search(/zz/)",
    "s.normalize('NFKD')",
    "s.isWellFormed()",
    "s.toWellFormed()",
    "s.at(-1)",
    "Array.from(s)",
    "[...s]",
    "s.charCodeAt(9)",
    "escape(s)",
    "unescape(s)",
    "encodeURIComponent(s)",
    "decodeURIComponent(s)",
    "parseInt(s, 36)",
    "parseFloat('1'.repeat(4e5))",
    "Number('9'.repeat(4e5))",
    "JSON.stringify(s)",
    "JSON.parse('[' + '1,'.repeat(1e5) + '1]')",
    "JSON.parse('['.repeat(1e5))",
    "new RegExp(s)",
    "/(a*)*b/.test(s)",
    "/^(a|ab)*$/.test(s + 'x')",
    "eval('\"' + s + '\"')",
    "new Function(s)",
    "new Date(s)",
    "Symbol.for(s)",
    "({})[s]",
    "new Map([[s, 1]]).get(s)",
    "new Set([s]).has(s)",
    "new Error(s).stack",
    "trace(s)",
    "application.broadcastMsg('x', s.slice(0, 6e4))",
    "Stream.get(s)",
];

/// The same on what says that it is huge.
const LIST_CALLS: &[&str] = &[
    "at",
    "concat",
    "copyWithin",
    "every",
    "fill",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "flat",
    "flatMap",
    "forEach",
    "includes",
    "indexOf",
    "join",
    "lastIndexOf",
    "map",
    "pop",
    "push",
    "reduce",
    "reduceRight",
    "reverse",
    "shift",
    "slice",
    "some",
    "sort",
    "splice",
    "toLocaleString",
    "toReversed",
    "toSorted",
    "toSpliced",
    "toString",
    "unshift",
    "with",
    "keys",
    "entries",
];

/// Loops, recursion, eaters, errors within errors, and whatever was found once.
const BODIES: &[&str] = &[
    "for (;;) ;",
    "for (;;) try { for (;;) ; } catch (e) { }",
    "try { for (;;) ; } finally { for (;;) ; }",
    "(function f() { f(); })()",
    "function f() { try { f(); } catch (e) { f(); } } f()",
    "function f() { try { f(); } finally { f(); } } f()",
    "var o = { toString: function () { return '' + o; } }; '' + o",
    "var o = { valueOf: function () { return +o; } }; +o",
    "var o = {}; o.o = o; JSON.stringify(o)",
    "var o = []; for (var i = 0; i < 1e5; i++) o = [o]; JSON.stringify(o)",
    "var o = []; for (var i = 0; i < 1e5; i++) o = [o]; return o",
    "var o = []; for (var i = 0; i < 1e5; i++) o = [o]; o.flat(Infinity)",
    "var o = []; for (var i = 0; i < 1e5; i++) o = [o]; '' + o",
    "var a = []; for (;;) a.push(a.length)",
    "var a = []; for (;;) a.push('x'.repeat(1e4))",
    "var a = []; for (;;) a.push(new Array(1e5))",
    "var a = []; for (;;) a.push({ a: 1, b: 2, c: [] })",
    "var a = []; for (;;) a.push(function () { return a; })",
    "var a = []; for (;;) a.push(/x/)",
    "var a = []; for (;;) a.push(new Date)",
    "var a = []; for (;;) a.push(new Error('x'))",
    "var a = []; for (;;) a.push(Symbol())",
    "var a = []; for (;;) a.push(new Map([[1, 2]]))",
    "var a = []; for (;;) a.push(new Promise(function () { }))",
    "var a = []; for (;;) a.push((function* () { yield 1; })())",
    "var s = 'x'; for (;;) s += s",
    "var s = 'x'; for (;;) try { s += s } catch (e) { }",
    "var o = {}; for (var i = 0; ; i++) o['k' + i] = i",
    "var o = new Map; for (var i = 0; ; i++) o.set('k' + i, i)",
    "var o = new Set; for (var i = 0; ; i++) o.add(i)",
    "for (;;) eval('var v' + Math.random().toString(36).slice(2) + ' = 1')",
    "for (var i = 0; ; i++) Symbol.for('k' + i)",
    "for (var i = 0; ; i++) this['k' + i] = function () { }",
    "for (;;) try { new Array(-1) } catch (e) { try { null.x } catch (e) { } }",
    "throw { get message() { throw { get message() { for (;;) ; } } } }",
    "throw { toString: function () { throw this; } }",
    "var e = new Error; Object.defineProperty(e, 'stack', { get: function () { for (;;) ; } }); throw e",
    "var e = new Error; e.message = 'x'.repeat(9e5); throw e",
    "var e = new Error; Object.defineProperty(e, 'name', { get: function () { throw e; } }); throw e",
    "application.onStatus = function () { for (;;) ; }; null.x",
    "application.onStatus = function () { null.x; }; null.x",
    "Error.prepareStackTrace = function () { for (;;) ; }; null.x",
    "Promise.resolve().then(function f() { return Promise.resolve().then(f); })",
    "Promise.reject({ get then() { for (;;) ; } })",
    "(async function f() { for (;;) await 0; })()",
    "for (;;) Promise.reject(1)",
    "var p = Promise.resolve(); for (;;) p = p.then(function () { })",
    "for (;;) setInterval(function () { }, 1)",
    "for (;;) trace('x')",
    "for (;;) this.call('x')",
    "for (;;) this.call('x', { onResult: function () { } })",
    "for (;;) this.call('x'.repeat(1e6))",
    "for (;;) application.broadcastMsg('x', new Array(1e4).join('y'))",
    "for (;;) Stream.get('x' + Math.random())",
    "for (;;) Stream.get('cam').send('x', new Array(1e4).join('y'))",
    "for (;;) application.shutdown()",
    "for (;;) application.disconnect(this)",
    "this.call('x', null, { get a() { for (;;) ; } })",
    "this.call('x', null, new Array(1e9))",
    "var a = []; a.length = 4294967295; a.push(1); a.sort()",
    "var a = [3, 2, 1]; a.sort(function () { a.length = 0; return 1; })",
    "var a = [1, 2, 3]; a.sort(function () { a.push(1); return -1; })",
    "var a = [1, 2, 3]; a.map(function () { a.push(1); for (var i = 0; i < 1e6; i++) ; })",
    "var a = [1, 2, 3]; a.splice(0, { valueOf: function () { a.length = 0; return 3; } })",
    "var a = new Array(1e5).fill(0); a.join({ toString: function () { a.length = 0; return 'x'.repeat(1e5); } })",
    "Array.from({ length: 1e15 })",
    "Array.from({ length: 1e9 }, function () { return 1; })",
    "Array.of.apply(null, new Array(1e6))",
    "Math.max.apply(null, new Array(1e7))",
    "Math.max(...new Array(1e7))",
    "String.fromCharCode.apply(null, new Array(1e6))",
    "String.fromCharCode(...new Array(1e5).fill(97))",
    "Function.prototype.apply.call(Math.max, null, { length: 4294967295 })",
    "new (Function.prototype.bind.apply(Array, new Array(1e6)))",
    "(function f(a) { f.apply(null, new Array(6e4)); })()",
    "Object.keys('x'.repeat(9e5))",
    "Object.entries('x'.repeat(2e5))",
    "Object.assign({}, 'x'.repeat(2e5))",
    "Object.getOwnPropertyNames('x'.repeat(2e5))",
    "Object.fromEntries({ [Symbol.iterator]: function () { return { next: function () { return { value: ['a', 1] }; } }; } })",
    "Object.defineProperties({}, 'x'.repeat(1e5))",
    "new Set([1]).isSubsetOf({ size: 1e9, has: function () { return true; }, keys: function () { } })",
    "new Set(new Array(1e5).keys()).union(new Set(new Array(1e5).keys()))",
    "new Set([1]).symmetricDifference({ size: 1, has: Boolean, keys: function () { return new Array(4e9).keys(); } })",
    "new Set([1]).union({ size: 1, has: Boolean, keys: function () { return new Array(4e9).keys(); } })",
    "new Set([1]).isSupersetOf({ size: 0, has: Boolean, keys: function () { return new Array(4e9).fill.call([1], 1).values(); } })",
    "new Array(4e9).keys().drop(3e9).next()",
    "new Array(4e9).keys().drop(1e9).drop(1e9).drop(1e9).next()",
    "new Array(4e9).keys().some(Boolean.bind(null, 0))",
    "new Array(4e9).keys().toArray()",
    "Iterator.concat(new Array(4e9).keys()).drop(3e9).next()",
    "Iterator.zip([new Array(4e9).keys(), new Array(4e9).keys()]).drop(3e9).next()",
    "new Set(new Array(4e9).keys())",
    "new Map(new Array(4e9).entries())",
    "Array.from(new Array(4e9).keys())",
    "Math.sumPrecise(new Array(1e7).fill(0.1))",
    "Math.sumPrecise({ [Symbol.iterator]: function () { return new Array(4e9).keys(); } })",
    "Math.hypot(...new Array(1e5).fill(1))",
    "Object.groupBy(new Array(4e9).keys(), String)",
    "Map.groupBy(new Array(4e9).keys(), Boolean)",
    "Promise.all(new Array(4e9).keys())",
    "Promise.race(new Array(1e6).fill(1))",
    "var m = new Map; m.set(1, 1); m.forEach(function (v, k) { m.delete(k); m.set(k + 1, 1); })",
    "var m = new Set([1]); for (var k of m) { m.delete(k); m.add(k + 1); }",
    "for (var k in new Proxy({}, { ownKeys: function () { return new Array(1e6).fill(0).map(String); } })) ;",
    "var p = {}; for (var i = 0; i < 1e5; i++) p = new Proxy(p, {}); p.x",
    "var p = {}; for (var i = 0; i < 1e5; i++) p = Object.create(p); p.x",
    "var p = {}; for (var i = 0; i < 2e4; i++) p = Object.create(p); for (;;) 'x' in p",
    "var f = function () { }; for (var i = 0; i < 1e5; i++) f = f.bind(null); f()",
    "Object.prototype.__proto__ = { get x() { for (;;) ; } }; ({}).x",
    "Object.defineProperty(Object.prototype, 'length', { get: function () { for (;;) ; } }); [].concat({})",
    "Array.prototype[0] = 1; new Array(4e9).sort()",
    "String.prototype.split.call({ toString: function () { return 'a'.repeat(8e5); } }, '')",
    "RegExp('(?:' + 'a?'.repeat(5e3) + ')' + 'a'.repeat(5e3)).test('a'.repeat(5e3))",
    "RegExp('('.repeat(5e4) + ')'.repeat(5e4))",
    "RegExp('[' + 'a-z'.repeat(1e5) + ']')",
    "RegExp('a{1,65535}{1,65535}').test('a'.repeat(1e5))",
    "RegExp('(?=' + 'x'.repeat(1e5) + ')').test('x')",
    "/(?:(?:a*)*)*$/.exec('a'.repeat(5e4) + 'b')",
    "'a'.repeat(5e4).replace(/a*?$/g, 'x'.repeat(1e4))",
    "var r = /a/y; r.lastIndex = { valueOf: function () { for (;;) ; } }; r.test('a')",
    "eval('(' .repeat(1e5))",
    "eval('[' .repeat(1e5))",
    "eval('a=>'.repeat(5e4) + '1')",
    "eval('`${'.repeat(5e4))",
    "eval('var ' + 'a,'.repeat(2e5) + 'b')",
    "eval('function f(){' .repeat(5e3))",
    "eval('x' + '.x'.repeat(2e5))",
    "eval('1' + '+1'.repeat(3e5))",
    "eval('if(1)'.repeat(5e4))",
    "new Function('a'.repeat(9e5))",
    "for (;;) new Function('return ' + Math.random())",
    "with (new Proxy({}, { has: function () { return true; }, get: function () { for (;;) ; } })) x",
    "new Date(8.64e15 + 1).toLocaleString(); for (;;) new Date().toString()",
    "for (;;) new Date(NaN).getTime()",
    "(function* () { yield* (function* f() { yield* f(); })(); })().next()",
    "var g = (function* () { for (;;) yield g.next(); })(); g.next()",
    "class A { static { for (;;) ; } }",
    "class A extends (function () { for (;;) ; })() { }",
    "label: for (;;) { continue label; }",
    "do { try { continue; } finally { } } while (true)",
    "switch (1) { case (function () { for (;;) ; })(): }",
    "var { a = (function () { for (;;) ; })() } = {}",
    "for (var x of { [Symbol.iterator]: function () { return { next: function () { return {}; } }; } }) ;",
    "var [...a] = { [Symbol.iterator]: function () { return { next: function () { return { value: 1 }; } }; } }",
    "for (;;) this.getStats; for (;;) ;",
    "delete Object.prototype.hasOwnProperty; for (var k in globalThis) delete globalThis[k]; for (;;) ;",
    "Object.freeze(globalThis); Object.freeze(application); for (;;) ;",
    "client = this; client.readAccess = { toString: function () { for (;;) ; } }; return 1",
    "setInterval(function () { for (;;) ; }, 10)",
    "var a = []; setInterval(function () { for (var i = 0; i < 1e4; i++) a.push({}); }, 10)",
];

fn bodies() -> Vec<String> {
    let texts = TEXT_CALLS.iter().map(|call| {
        format!(
            "var s = 'ab'.repeat(2e5), b = ' '.repeat(4e5) + 'x'; for (;;) try {{ {call} }} catch (e) {{ s.length; }}"
        )
    });
    let lists = LIST_CALLS.iter().flat_map(|name| {
        ["new Array(4294967295)", "{ length: 9007199254740991 }", "{ get length() { return 1e15; } }"]
            .map(|list| format!("for (;;) Array.prototype.{name}.call({list}, function () {{ return 1; }}, 1)"))
    });
    let others = BODIES.iter().map(|body| (*body).to_owned());
    others.chain(texts).chain(lists).collect()
}

/// Processor time of a process in milliseconds, of which the kernel's own clock tells hundredths of a second (proc(5)).
fn processor_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let times = stat.rsplit(')').next().unwrap_or_default().split(' ').skip(12).take(2);
    times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// Runs a script in a method and then in a timer, and ends the process as a server does if it does not come back.
fn run(process: &mut Process, body: &str, budget: Budget) -> End {
    let begin_ms = processor_ms(process.child.id());
    let text = format!(
        "application.onConnect = function () {{ return true; }}; Client.prototype.f = function () {{ {body}\n}};"
    );
    match process.load(BAD, budget, &text) {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return End::NotLoaded,
        Err(_) => return End::Died,
    }
    process.connect(BAD);
    process.call(BAD, 1, "f");
    process.tell(&ToHost::Access {
        instance: BAD,
        question: Question { client: ME, number: 2, transaction: 0.0 },
        wanted: AccessSet::of(Access::ALL),
        stream: "cam",
    });
    let end = Instant::now() + LATE;
    loop {
        let said = process.until(Duration::from_millis(20), |message| match message {
            ToServer::Exhausted { .. } => Some(End::Stopped),
            ToServer::Allowed { .. } => Some(End::Answered),
            _ => None,
        });
        match said {
            Ok(end) => {
                // What its timers do shows now.
                std::thread::sleep(Duration::from_millis(if body.contains("setInterval") { 60 } else { 0 }));
                process.tell(&ToHost::Unload { instance: BAD });
                process.tell(&ToHost::Knock {});
                return end;
            }
            Err(Silence::Closed) => return End::Died,
            Err(Silence::Late) => {}
        }
        if processor_ms(process.child.id()) - begin_ms > KILL_MS + budget.load_ms as u64 {
            assert_eq!(process.doing(), Some((BAD, Handler::Call)), "{body}");
            return End::Killed;
        }
        assert!(Instant::now() < end, "it takes no processor time and does not answer: {body}");
    }
}

/// Runs them all, each with these budgets, and says what became of them.
fn run_all(bodies: &[String], budgets: &[Budget]) -> String {
    let mut process = Process::start();
    let mut counts = [0; 5];
    let mut report = String::new();
    for body in bodies {
        for budget in budgets {
            let end = run(&mut process, body, *budget);
            counts[end as usize] += 1;
            match end {
                End::Killed | End::Died => {
                    let doing = process.doing();
                    let memory = budget.memory_bytes;
                    let _ = writeln!(report, "{end:?} by {body} with {memory} bytes, in {doing:?}");
                    if end == End::Died {
                        assert!(matches!(doing, Some((BAD, _))), "nobody knows whose fault it was: {body}");
                    }
                    process = Process::start();
                }
                End::Answered | End::Stopped | End::NotLoaded => {}
            }
        }
    }
    let [answered, stopped, not_loaded, killed, died] = counts;
    format!("answered {answered}, stopped {stopped}, not loaded {not_loaded}, killed {killed}, died {died}\n{report}")
}

#[test]
fn whatever_a_script_does_its_process_answers_or_can_be_ended() {
    println!("{}", run_all(&bodies(), &[Budget::default()]));
}

#[test]
fn at_whatever_size_the_memory_ends_it_is_known_whose_fault_it_was() {
    let eaters: Vec<String> =
        BODIES.iter().filter(|body| body.starts_with("var a = []; for (;;)")).map(|body| (*body).to_owned()).collect();
    // An instance takes a good 200 kB before its script begins.
    let steps = if std::env::var_os("RILL_LONG").is_some() { 1000 } else { 20 };
    let budgets: Vec<Budget> = (0..steps)
        .map(|step| Budget { memory_bytes: 262_144 + step * (1_000_000 / steps) + step % 97, ..Budget::default() })
        .collect();
    println!("{}", run_all(&eaters, &budgets));
}
