// The server's side of a script: Adobe's objects over a few native functions. Evaluates to a function that makes them and
// returns what the server calls. Nothing in here is reachable from a script but what is put on the global object below.
(function (native, application) {
"use strict";
const { apply, defineProperty: define, get, getOwnPropertyDescriptor: own, getPrototypeOf } = Reflect;
const hide = (object, members, writable) => {
  for (const name of Object.keys(members))
    define(object, name, { value: members[name], writable, configurable: writable });
  return object;
};
const clients = [], byHandle = [], streams = new Map, live = new Map, timers = new Map;
let handleOf, factsOf, callsOf, forget, make, queryOf, setQuery;
const { getTime } = Date.prototype, { toWellFormed } = String.prototype;
const { indexOf, splice } = Array.prototype;
const fileOf = own(Function.prototype, "fileName").get, lineOf = own(Function.prototype, "lineNumber").get;
native.date = Date;
native.time = date => apply(getTime, date, []);
native.wellFormed = text => apply(toWellFormed, text, []);

// What an object does not have: members of Adobe's that this server has not throw, others are asked of __resolve.
const fallback = new Proxy(Object.prototype, {
  get(target, name, receiver) {
    if (typeof name == "symbol" || name in target) return get(target, name, receiver);
    const isClient = handleOf(receiver) !== undefined;
    const kind = receiver === application ? "application" : isClient ? "Client" : queryOf(receiver) !== undefined ? "Stream" : "";
    if (kind && native.isMissing(kind, name)) throw new Error(kind + "." + name + " is not available in this server");
    if (isClient && name[0] != "_" && typeof receiver.__resolve == "function") return receiver.__resolve(name);
  },
});

const checked = client => {
  const handle = handleOf(client);
  if (handle === undefined) throw new TypeError("not a Client");
  return handle;
};

class Client {
  #handle; #facts; #calls;
  constructor(key, handle, facts) {
    if (key !== native) throw new TypeError("only the server makes Client objects");
    this.#handle = handle;
    this.#facts = facts;
  }
  static {
    handleOf = client => typeof client == "object" && client !== null && #handle in client ? client.#handle : undefined;
    factsOf = client => client.#facts;
    callsOf = client => client.#calls ??= new Map;
    // A handle that no client has: what is said to this one is dropped.
    forget = client => { client.#handle = 0xFFFFFFFF; client.#calls = undefined; };
  }
}
hide(Client.prototype, {
  call(name, result, ...values) {
    const handle = checked(this);
    const wanted = result !== undefined && result !== null;
    const calls = wanted && callsOf(this);
    if (wanted && calls.size >= native.calls)
      throw new RangeError("more than " + native.calls + " calls to this client wait for an answer");
    const transaction = native.call(handle, String(name), wanted, values);
    if (wanted && transaction > 0) calls.set(transaction, result);
    return transaction >= 0;
  },
  ping() { return native.ping(checked(this)); },
  getStats() { return native.clientStats(checked(this)); },
  checkBandwidth() { native.checkBandwidth(checked(this)); },
  getStreamLength(name) { return Stream.length(name); },
  getBandwidthLimit(direction) { return native.limitOf(checked(this), Number(direction) == 1); },
  setBandwidthLimit(toClient, toServer) { native.limit(checked(this), Number(toClient) || 0, Number(toServer) || 0); },
}, true);
// A list takes a fraction of what a Set does, and none of these is long.
const has = (list, value) => apply(indexOf, list, [value]) >= 0;
const builtIn = [];
for (const name of Object.getOwnPropertyNames(Client.prototype)) builtIn.push(Client.prototype[name]);
["ip", "agent", "referrer", "pageUrl", "uri", "id", "protocol", "secure"].forEach((name, index) =>
  define(Client.prototype, name, { get() { return checked(this), factsOf(this)[index]; } }));
hide(Client.prototype, {
  readAccess: "/", writeAccess: "/", audioSampleAccess: "/", videoSampleAccess: "/", protocolVersion: "", virtualKey: "",
}, true);
Object.setPrototypeOf(Client.prototype, fallback);

class Stream {
  #name; #query = ""; #kind; #sync = false;
  constructor(key, name) {
    if (key !== native) throw new TypeError("use Stream.get(name)");
    this.#name = name;
  }
  static {
    make = name => new Stream(native, name);
    queryOf = stream => typeof stream == "object" && stream !== null && #query in stream ? stream.#query : undefined;
    setQuery = (stream, query, kind) => { stream.#query = query; stream.#kind = kind; };
  }
  static get(name) {
    name = native.streamName(String(name));
    if (!name) return null;
    let stream = streams.get(name);
    if (!stream) streams.set(name, stream = live.get(name) || make(name));
    return stream;
  }
  get name() { return this.#name; }
  get publishQueryString() { return this.#query; }
  get type() { return this.#kind; }
  send(handler, ...values) { native.send(this.#name, String(handler), values); return true; }
  play(item, start = -2, length = -1, reset = true) {
    if (item === false) return native.play(this.#name, "", -2, -1, true);
    item = String(item);
    return item != "" && native.play(this.#name, item, Number(start), Number(length), reset == 3 || reset != 2 && Boolean(reset));
  }
  record(how = "record", maxDuration = -1, maxSize = -1) {
    const flag = how === false ? 0 : how === true ? 1 : ["false", "record", "append", "appendwithgap"].indexOf(String(how).toLowerCase());
    return flag >= 0 && native.record(this.#name, flag, Number(maxDuration), Number(maxSize));
  }
  clear() { return native.clear(this.#name); }
  flush() { return native.flush(this.#name, 0); }
  get syncWrite() { return this.#sync; }
  set syncWrite(on) { this.#sync = Boolean(on); native.flush(this.#name, this.#sync ? 1 : 2); }
  static getOnMetaData(name) { return native.metadata(String(name)); }
  static length(name) { return native.streamLength(String(name)); }
  static size(name) { return native.streamSize(String(name)); }
}
Object.setPrototypeOf(Stream.prototype, fallback);
for (const name of ["destroy"])
  hide(Stream, { [name]() { throw new Error("Stream." + name + " is not available in this server"); } }, true);

// Calls a function of the script. The one that was called last is often the next.
let entered, file, line;
const enter = (method, self, values) => {
  if (method !== entered) {
    file = apply(fileOf, method, []);
    line = apply(lineOf, method, []);
    entered = method;
  }
  native.enter(file, line);
  return apply(method, self, values);
};
const tell = info => {
  const handler = info && application.onStatus;
  if (typeof handler == "function")
    try { enter(handler, application, [info]); } catch (error) { native.report(error); }
};
const fail = error => tell(native.report(error));
const run = (handler, self, values) => {
  if (typeof handler == "function")
    try { return enter(handler, self, values); } catch (error) { fail(error); }
};
const accept = client => {
  const handle = checked(client);
  if (!native.isPending(handle)) return;
  clients.push(client);
  native.accept(handle);
};
const leave = client => {
  const index = apply(indexOf, clients, [client]);
  if (index >= 0) apply(splice, clients, [index, 1]);
};
const refuse = client => { if (native.refuse(handleOf(client))) leave(client); };
const decide = (client, answer) => {
  if (answer === undefined || answer === null || !native.isPending(handleOf(client))) return;
  if (answer instanceof Promise) answer.then(value => decide(client, value), error => { fail(error); refuse(client); });
  else if (answer) accept(client);
  else native.reject(handleOf(client));
};

hide(application, {
  acceptConnection(client) { accept(client); },
  rejectConnection(client, description, error) {
    if (arguments.length < 3) native.reject(checked(client), undefined, description);
    else native.reject(checked(client), description, error);
  },
  redirectConnection(client, url, description = "Connection failed", error) {
    native.reject(checked(client), description, error, url);
  },
  disconnect(client) { return native.disconnect(checked(client)); },
  shutdown: native.shutdown,
  broadcastMsg(name, ...values) { native.broadcast(String(name), values); },
  getStats: native.applicationStats,
  clearStreams(path) {
    path = String(path);
    return path[0] == "/" && native.clear(native.streamName(path.slice(1)) || "*");
  },
}, true);
const no = () => false;
hide(application, {
  clients: new Proxy(clients, { set: no, defineProperty: no, deleteProperty: no, setPrototypeOf: no, preventExtensions: no }),
});
define(application, "allowDebug", { value: false, writable: true });
Object.setPrototypeOf(application, fallback);

hide(globalThis, { application, Client, Stream });
hide(globalThis, {
  trace(...values) { native.trace(values.map(String).join(" ")); },
  load(name) { native.load(String(name)); },
  setInterval(self, ...rest) {
    const method = typeof self == "function" ? undefined : String(rest.shift());
    if (method !== undefined && (typeof self != "object" || self === null))
      throw new TypeError("setInterval takes a function, or an object and the name of its method");
    const id = native.interval(Number(rest.shift()) || 0);
    timers.set(id, [self, method, rest]);
    return id;
  },
  clearInterval(id) { if (timers.delete(id)) native.clearInterval(id); },
  setAttributes(object, name, enumerable, readonly, permanent) {
    Object.defineProperty(object, name, { enumerable: !!enumerable, writable: !readonly, configurable: !permanent });
  },
  getGlobal() { return globalThis; },
  protectObject(object) {
    const shield = {};
    for (const name in object) {
      const method = object[name];
      if (typeof method == "function") hide(shield, { [name]: (...values) => apply(method, object, values) });
    }
    return Object.freeze(shield);
  },
}, true);

// The engine looks at the clock between its own steps, not inside these: what they may cost is charged before they run.
const charge = (object, names, cost) => {
  for (const name of names.split(" ")) {
    const original = object[name];
    hide(object, { [name](...values) {
      const steps = cost(this, values);
      if (!(steps < 1024)) native.charge(steps);
      return apply(original, this, values);
    } }, true);
  }
};
// What a function will find when it asks for the length in turn. Infinite when that can be another each time: then a
// short one could be shown here, and a long one there.
const lengthOf = value => {
  if (typeof value == "string") return value.length;
  if (value === application.clients) return clients.length;
  if (typeof value != "object" && typeof value != "function" || value === null || native.isProxy(value)) return Infinity;
  const member = own(value, "length");
  return member && !member.get && !member.set && typeof member.value == "number" ? member.value : Infinity;
};
charge(Array.prototype, "join reverse shift slice sort splice unshift", lengthOf);
// These ask again after code of the script has run, so they are steps of the engine's own.
const put = (list, at, value) => define(list, at, { value, writable: true, enumerable: true, configurable: true });
const flatten = (list, at, value, depth) => {
  for (let index = 0; index < value.length; index++)
    if (index in value) {
      const element = value[index];
      if (depth > 0 && Array.isArray(element)) at = flatten(list, at, element, depth - 1);
      else put(list, at++, element);
    }
  return at;
};
hide(Array.prototype, {
  concat(...values) {
    const list = [];
    let at = 0;
    for (let item = -1; item < values.length; item++) {
      const value = item < 0 ? this : values[item];
      if (!Array.isArray(value)) { put(list, at++, value); continue; }
      for (let index = 0; index < value.length; index++, at++) if (index in value) put(list, at, value[index]);
    }
    list.length = at;
    return list;
  },
  flat(depth = 1) { const list = []; flatten(list, 0, this, depth); return list; },
  flatMap(call, self) {
    const list = [];
    let at = 0;
    for (let index = 0; index < this.length; index++)
      if (index in this) at = flatten(list, at, [apply(call, self, [this[index], index, this])], 1);
    return list;
  },
  toLocaleString() { return this.join(); },
}, true);
// Text that a function reads must be that which was measured: what is not text yet becomes it here.
const text = (names, symbol) => {
  for (const name of names.split(" ")) {
    const original = String.prototype[name];
    hide(String.prototype, { [name](...values) {
      let sought = values[0];
      const special = symbol && typeof sought == "object" && sought !== null && sought[Symbol[name.slice(0, symbol)]];
      if (typeof special == "function") return apply(special, sought, [this, values[1]]);
      const self = `${this}`;
      if (values.length && (symbol != 5 || sought !== undefined)) values[0] = sought = `${sought}`;
      const steps = self.length * (sought && sought.length || 1);
      if (!(steps < 1024)) native.charge(steps);
      return apply(original, self, values);
    } }, true);
  }
};
text("includes indexOf lastIndexOf");
text("split", 5);
text("replace replaceAll", 7);
// Between two looks at the clock a regular expression may be begun anew ten thousand times.
const { get: sourceOf } = own(RegExp.prototype, "source");
charge(RegExp.prototype, "exec", self => 1024 * apply(sourceOf, self, []).length);
charge(String.prototype, "endsWith localeCompare startsWith trim trimEnd trimStart", self => lengthOf(`${self}`));
charge(globalThis, "decodeURI decodeURIComponent encodeURI encodeURIComponent escape parseInt unescape",
  (self, [text]) => typeof text == "string" ? text.length : 1024);
const keyLength = (self, [key]) => typeof key == "string" ? key.length : 0;
charge(Map.prototype, "delete get has set", keyLength);
charge(Set.prototype, "add delete has", keyLength);
charge(Array.prototype, "fill includes indexOf lastIndexOf", () => 1024);
charge(JSON, "parse stringify", () => 1024);
charge(Object, "assign entries getOwnPropertyNames keys values", () => 1024);
// It shows the functions of this file to the script, and takes the place out of errors.
define(Error, "prepareStackTrace", { value: undefined });

const status = (code, name, what) =>
  ({ level: "status", code, description: name + " is now " + what + ".", details: name });
// A method that a client may call by name: a function that the script has put on the client or on Client.prototype.
const method = (client, name) => {
  const member = own(client, name) || own(Client.prototype, name);
  const value = member && member.value;
  if (typeof value == "function" && !has(builtIn, value)) return value;
};
// Objects that are the language's or the server's: what they have is not the script's.
const owners = [fallback, Client.prototype, Stream.prototype, getPrototypeOf(function* () {}).prototype];
for (const name of Reflect.ownKeys(globalThis)) {
  // The engine makes a function when it is looked at, and no other has a prototype.
  if (!(name[0] >= "A" && name[0] <= "Z")) continue;
  const member = own(globalThis, name).value, prototype = typeof member == "function" && own(member, "prototype");
  if (prototype) owners.push(prototype.value);
}
// The method that a client means by a path: of an object that is its own, of an object in that, and so on; like
// `client.chat.send` for "chat/send". Nothing on the way is inherited, or one of the server's objects; the method may be
// the object's class's.
const methodByPath = (client, path) => {
  const parts = path.split("/"), name = parts.pop();
  if (!parts.length || name == "constructor" || [name, ...parts].some(part => !part || part[0] == "_")) return;
  let object = client;
  for (const part of parts) {
    const member = own(object, part) || object === client && own(Client.prototype, part);
    object = member && member.value;
    if (typeof object != "object" || object === null) return;
    if (object === application || object === globalThis || handleOf(object) !== undefined || queryOf(object) !== undefined) return;
  }
  for (let owner = object; owner && !has(owners, owner); owner = getPrototypeOf(owner)) {
    const member = own(owner, name);
    if (member) return typeof member.value == "function" && !has(builtIn, member.value) ? [object, member.value] : undefined;
  }
};
const access = ["readAccess", "writeAccess", "audioSampleAccess", "videoSampleAccess"];

return {
  // Only secure.asc has them.
  secured() { delete globalThis.getGlobal; delete globalThis.protectObject; },
  missing(name) {
    define(globalThis, name, { get() { throw new Error(name + " is not available in this server"); }, configurable: true });
  },
  start() { run(application.onAppStart, application, []); },
  stop(info) { return run(application.onAppStop, application, [info]) !== false; },
  tell,
  connect(handle, facts, values) {
    const client = byHandle[handle] = new Client(native, handle, facts), handler = application.onConnect;
    if (typeof handler != "function") return accept(client);
    let answer;
    try { answer = enter(handler, application, [client, ...values]); } catch (error) { fail(error); return refuse(client); }
    decide(client, answer);
  },
  disconnect(handle, isTold) {
    const client = byHandle[handle];
    byHandle[handle] = undefined;
    if (isTold) run(application.onDisconnect, application, [client]);
    leave(client);
    forget(client);
  },
  call(handle, name, values) {
    const client = byHandle[handle];
    try {
      const called = name[0] == "_" ? undefined : method(client, name);
      if (called) return enter(called, client, values);
      const found = methodByPath(client, name);
      if (found) return enter(found[1], found[0], values);
      if (name == "checkBandwidth") return client.checkBandwidth();
      const resolve = name[0] == "_" || name in Client.prototype ? undefined : method(client, "__resolve");
      const resolved = resolve && enter(resolve, client, [name]);
      if (typeof resolved == "function" && !has(builtIn, resolved)) return enter(resolved, client, values);
      native.notFound();
    } catch (error) { fail(error); }
  },
  answer(handle, transaction, isResult, values) {
    const client = byHandle[handle], calls = callsOf(client), result = calls.get(transaction);
    if (!calls.delete(transaction)) return;
    try {
      const handler = isResult ? result.onResult : result.onStatus;
      if (typeof handler == "function") enter(handler, result, values);
    } catch (error) { fail(error); }
  },
  publish(handle, name, query, kind) {
    const stream = streams.get(name) || live.get(name) || make(name);
    live.set(name, stream);
    setQuery(stream, query, kind);
    run(application.onPublish, application, [byHandle[handle], stream]);
    run(stream.onStatus, stream, [status("NetStream.Publish.Start", name, "published")]);
  },
  unpublish(handle, name) {
    const stream = streams.get(name) || live.get(name) || make(name);
    run(application.onUnpublish, application, [byHandle[handle], stream]);
    run(stream.onStatus, stream, [status("NetStream.Unpublish.Success", name, "unpublished")]);
    live.delete(name);
    setQuery(stream, "");
  },
  playStatus(name, code, item) {
    const stream = streams.get(name) || live.get(name), level = /Failed|NotFound|Invalid|NoSupported|NoAccess/.test(code) ? "error" : "status";
    if (stream) run(stream.onStatus, stream, [{ level, code, description: item, details: item }]);
  },
  access(handle, which) {
    const value = byHandle[handle][access[which]];
    return value === undefined || value === null ? "" : String(value);
  },
  tick(id) {
    const timer = timers.get(id);
    if (!timer) return;
    const [self, name, values] = timer;
    try {
      if (name === undefined) enter(self, undefined, values);
      else enter(self[name], self, values);
    } catch (error) { fail(error); }
  },
};
})
