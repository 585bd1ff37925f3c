//! What becomes of a process when one allocation is refused, whichever that is: it goes on, stops the script, or ends (is ended,
//! where it would not come back) and leaves behind whose fault it was.

use std::fmt::Write as _;

use rill::wire::script_link::Budget;

use crate::hostile::{BAD, End, run};
use crate::process::Process;

/// Small scripts that between them have most of the engine's parts ask for memory.
const SCRIPTS: &[&str] = &[
    "return 1",
    "var a = []; for (var i = 0; i < 50; i++) a.push({ i: i, s: 's' + i }); return a",
    "var o = {}; for (var i = 0; i < 50; i++) o['k' + i] = [i]; for (var k in o) delete o[k]; return JSON.stringify(o)",
    "return JSON.parse('{\"a\":[1,2,{\"b\":\"c\"}],\"d\":null}')",
    "return 'a,b,c,d'.split(',').map(function (s) { return s.toUpperCase() + s; }).sort().reverse().join('-')",
    "return 'one two three'.replace(/(\\w+) (\\w+)/g, function (all, a, b) { return b + a; }).match(/t./g)",
    "try { null.x } catch (e) { try { throw new TypeError('x' + e) } finally { return '' + e.stack } }",
    "null.x",
    "var m = new Map([[1, 2]]), s = new Set('abcabc'); m.set('k', s); return [...m.keys()].concat([...s])",
    "function* g() { for (var i = 0; i < 5; i++) yield { i: i }; } return [...g()].length",
    "var p = Promise.resolve(1).then(function (v) { return v + 1; }); (async function () { await p; null.x; })(); return p",
    "class A { #x = 1; get x() { return this.#x; } static y = 2; } class B extends A { z() { return super.x; } } return new B().z()",
    "return eval('(function (a, b) { return a + b; })')(1, new Function('return 2')())",
    "return new Date(0).toString() + new Date(2020, 1, 1).toISOString()",
    "this.call('x', { onResult: function () { } }, { a: [1, 'two', null, new Date(0)] }); application.broadcastMsg('y', 1)",
    "var s = Stream.get('cam'); s.send('x', { a: 1 }); s.x = s; trace(s, this, arguments); return s.name",
    "var self = this; setInterval(function () { self.n = (self.n || 0) + 1; }, 10); Client.prototype.later = function () { }",
    "var { a, ...rest } = { a: 1, b: 2, c: [3] }, [x, ...y] = `${a}${rest.b}`; return [a, rest, x, y]",
];

#[test]
fn whichever_allocation_is_refused_the_process_goes_on_or_it_is_known_whose_fault_it_was() {
    let long = std::env::var_os("RILL_LONG").is_some();
    // There are about five hundred before a script begins. After so many that nobody missed there are no more.
    let (step, quiet) = if long { (1, 300) } else { (17, 20) };
    let mut counts = [0; 5];
    let mut report = String::new();
    for (at, body) in SCRIPTS.iter().enumerate() {
        // Other numbers for each.
        let mut number = 1 + at as u64 % step;
        let mut process = Process::start_refusing(number, step);
        let mut unharmed = 0;
        while unharmed < quiet {
            let end = run(&mut process, body, Budget::default());
            counts[end as usize] += 1;
            unharmed = if end == End::Answered { unharmed + 1 } else { 0 };
            if let End::Died | End::Killed = end {
                let doing = process.doing();
                let _ = writeln!(report, "{end:?} at allocation {number} of {body}, in {doing:?}");
                assert!(matches!(doing, Some((BAD, _))), "nobody knows whose fault it was: {number} of {body}");
                process = Process::start_refusing(number + step, step);
            }
            number += step;
        }
    }
    let [answered, stopped, not_loaded, killed, died] = counts;
    println!("answered {answered}, stopped {stopped}, not loaded {not_loaded}, killed {killed}, died {died}\n{report}");
    // What an engine without memory finds in its tables can send it round and round, once in some ten thousand refusals.
    // `run` has seen that it is known whose fault that was, too.
    let refused = stopped + not_loaded + killed + died;
    assert!(killed <= 3 + refused / 10_000, "a process without memory ends, or goes on");
    assert!(stopped + not_loaded > SCRIPTS.len() * if long { 200 } else { 15 }, "nothing was refused");
}
