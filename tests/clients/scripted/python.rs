//! Python's librtmp: calls in both directions, with every type that it can send and receive; connect arguments,
//! rejections, redirections.

use super::stage::{Stage, end, python};

#[test]
fn a_python_client_calls_methods_of_a_script_with_values_of_every_type_and_gets_them_back() {
    let script = r#"
application.onConnect = function(client) {
	application.acceptConnection(client);
	client.own = function() { return "of this client alone"; };
};
Client.prototype.add = function(a, b) { return a + b; };
Client.prototype.echo = function(value) { return value; };
Client.prototype.types = function() {
	return Array.prototype.map.call(arguments, function(value) {
		return value === null ? "null" : value instanceof Array ? "array" : typeof value;
	});
};
Client.prototype.made = function() {
	return { number: -0.5, text: "grüße", yes: true, nothing: null, list: [1, "two", [null]], inner: { deep: { er: 1 } } };
};
Client.prototype.nothing = function() {};
Client.prototype.long = function(length) { return "x".repeat(length); };
Client.prototype.fail = function() { throw new Error("this method always fails"); };
Client.prototype.crash = function() { return undefined.member; };
Client.prototype.note = function(text) { trace("noted " + text); return text; };
Client.prototype.notAFunction = 3;
// Names that mean something without a script.
["ping", "pong", "onStatus", "checkBandwidth", "releaseStream", "FCPublish", "getStreamLength", "play"].forEach(function(name) {
	Client.prototype[name] = function(value) { return "own " + name + " " + value; };
});
"#;
    let program = r#"
client = Client(sys.argv[1])
assert client.join()
same(client.ask("add", 2, 3.5), 5.5)
same(client.ask("add", "a", 1), "a1")
same(client.ask("own"), "of this client alone")
for value in [0.0, -1.5, 1e300, "", "text", "gr\u00fc\u00dfe \u20ac", True, False, None, [], [1.0, "two", [None, False]],
        AMFObject(), AMFObject(a=1.0, b=AMFObject(c=[True])), {"named": 1.0, "list": ["x"]}]:
    same(client.ask("echo", value), value)
same(client.ask("types", 1, "s", True, None, AMFObject(a=1), {"a": 1}, [1]),
    ["number", "string", "boolean", "null", "object", "array", "array"])
same(client.ask("made"), AMFObject(number=-0.5, text="gr\u00fc\u00dfe", yes=True, nothing=None, list=[1.0, "two", [None]],
    inner=AMFObject(deep=AMFObject(er=1.0))))
same(client.ask("nothing"), None)
for length in [100, 5000, 50000, 62000]:
    same(client.ask("long", length), "x" * length)

def failed(method, description, *values):
    same(client.fail(method, *values), AMFObject(level="error", code="NetConnection.Call.Failed", description=description))
failed("fail", "Error: this method always fails")
# A value of a script is put together as a whole, so there is an end to its length.
failed("long", "RangeError: the values for the client are too long", 66000)
failed("nowhere", "Method not found (nowhere).")
# Neither what the server has built in nor what is no function can be called.
failed("getStats", "Method not found (getStats).")
failed("toString", "Method not found (toString).")
failed("notAFunction", "Method not found (notAFunction).")
client.call("crash")
client.process_packets(invoked_method="_error")
assert client.errors.pop()["description"].startswith("TypeError: ")

for name in ["ping", "pong", "onStatus", "checkBandwidth", "releaseStream", "FCPublish", "getStreamLength", "play"]:
    same(client.ask(name, "x"), "own " + name + " x")

# With transaction 0 nobody wants to know.
client.send("note", 0.0, "quietly")
client.send("fail", 0.0)
client.send("nowhere", 0.0)
same(client.ask("note", "aloud"), "aloud")
assert not client.errors and not client._invoke_results, (client.errors, client._invoke_results)
# Several at once are answered each, whatever their order.
calls = [client.call("add", number, 0.5) for number in range(20)]
for number, call in reversed(list(enumerate(calls))):
    same(call.result(), number + 0.5)
print("done")
"#;
    let stage = Stage::new("calls", &[("calls", script)], &[]);
    let mut client = stage.spawn("client", python(program, &[&stage.url("calls")]));
    client.wait_success(end());
    stage.wait_for_traces("calls/_definst_", &["noted quietly", "noted aloud"]);
    for (text, line) in [("Error: this method always fails", "fail"), ("TypeError: ", "crash")] {
        let line = 1 + script.lines().position(|code| code.contains(&format!("prototype.{line} "))).unwrap();
        stage.server.wait_for_log(&["script calls/_definst_ file=\"main.asc\"", &format!(" line={line} "), text]);
    }
    stage.finish();
}

#[test]
fn a_script_calls_functions_of_a_python_client_and_gets_what_they_return() {
    let script = r#"
application.onConnect = function(client) {
	// Asked before the client is in: sent when it is.
	ask(client, "early");
	application.acceptConnection(client);
	ask(client, "multiply", 6, 7);
	ask(client, "types", 1.5, "text", true, null, undefined, { a: [1] }, ["x", [2]], new Date(0));
	for (var name in { number: 1, text: 1, yes: 1, no: 1, list: 1, object: 1, named: 1 }) {
		ask(client, name);
	}
	ask(client, "refuse");
	ask(client, "twice");
	client.call("last", null, "no answer wanted");
};
function ask(client, name) {
	var result = new Object();
	result.onResult = function(value) { trace(name + " returned " + JSON.stringify(value)); };
	result.onStatus = function(info) { trace(name + " failed with " + JSON.stringify(info)); };
	var values = Array.prototype.slice.call(arguments, 2);
	client.call.apply(client, [name, result].concat(values));
}
"#;
    let program = r#"
client = Client(sys.argv[1])
given = []
client.invoke_handler(lambda: "caught", name="early")
client.invoke_handler(lambda a, b: a * b, name="multiply")
client.invoke_handler(lambda *values: list(values), name="types")
for name, value in [("number", -0.25), ("text", "gr\u00fc\u00dfe"), ("yes", True), ("no", False), ("list", [1, [None]]),
        ("object", AMFObject(a=AMFObject(b=1))), ("named", {"x": 1})]:
    client.register_invoke_handler(name, lambda value=value: value)
# The binding has no way to answer with an error, nor twice.
packets = {}
handle = client.read_packet
def read_packet():
    packet = handle()
    if packet.type == PACKET_TYPE_INVOKE:
        method, transaction = decode_amf(packet.body)[:2]
        if method == "refuse":
            client.send("_error", transaction, AMFObject(level="error", code="Own.Code", description="I will not"))
        if method == "twice":
            client.send("_result", transaction, "first")
            client.send("_result", transaction, "second")
            client.send("_result", 4711.0, "nobody asked")
    return packet
client.read_packet = read_packet
assert client.join()
same(client.process_packets(invoked_method="last"), ["no answer wanted"])
client.stay()
"#;
    let stage = Stage::new("called", &[("called", script)], &[]);
    let _client = stage.spawn("client", python(program, &[&stage.url("called")]));
    stage.wait_for_traces(
        "called/_definst_",
        &[
            r#"early returned "caught""#,
            "multiply returned 42",
            // A date is not known to the binding; undefined is sent as null.
            r#"types returned [1.5,"text",true,null,null,{"a":[1]},["x",[2]],null]"#,
            "number returned -0.25",
            r#"text returned "grüße""#,
            "yes returned true",
            "no returned false",
            "list returned [1,[null]]",
            r#"object returned {"a":{"b":1}}"#,
            r#"refuse failed with {"level":"error","code":"Own.Code","description":"I will not"}"#,
            r#"twice returned "first""#,
        ],
    );
    let traces = stage.traces("called/_definst_");
    assert!(!traces.iter().any(|trace| trace.contains("second") || trace.contains("nobody")), "{traces:?}");
    stage.finish();
}

#[test]
fn a_python_client_sends_arguments_and_is_rejected_or_redirected_with_what_the_script_says() {
    let script = r#"
application.onConnect = function(client, what) {
	trace(JSON.stringify(Array.prototype.slice.call(arguments, 1)));
	switch (what) {
	case "plain":
		return false;
	case "object":
		application.rejectConnection(client, { reason: "full", rooms: [1, 2], until: { hour: 9.5 } });
		return;
	case "text":
		application.rejectConnection(client, "with a description", "only a text");
		return;
	case "redirect":
		application.redirectConnection(client, client.uri + "/north", "moved");
		return;
	case "throw":
		throw new Error("onConnect fails");
	case "queued":
		// What was to be told it, had it been accepted, it is not told.
		client.call("hello", null, 1);
		application.rejectConnection(client);
		return;
	}
	return true;
};
"#;
    let program = r#"
url = sys.argv[1]
def refused(*given):
    client = Client(url, connect_data=list(given))
    heard = []
    client.register_invoke_handler("hello", lambda *values: heard.append(values))
    assert not client.join()
    # librtmp has read the refusal and then `close`: nothing was lost.
    assert not client.connected and len(client.errors) == 1 and not heard, (client.connected, client.errors, heard)
    info = client.errors[0]
    assert info["level"] == "error" and info["code"] == "NetConnection.Connect.Rejected", info
    return info
refused("plain")
same(refused("object")["application"], AMFObject(reason="full", rooms=[1.0, 2.0], until=AMFObject(hour=9.5)))
info = refused("text")
same((info["description"], info["application"]), ("with a description", "only a text"))
info = refused("redirect")
same(info["ex"], AMFObject(code=302.0, redirect=url + "/north"))
same(info["description"], "moved")
refused("throw")
refused("queued")
client = Client(url, connect_data=[True, "s", 7, None, {"a": "b", "n": 3, "t": True}])
assert client.join() and client.connected
"#;
    let stage = Stage::new("refused", &[("door", script)], &[]);
    stage.spawn("client", python(program, &[&stage.url("door")])).wait_success(end());
    let arguments = r#"[true,"s",7,null,{"a":"b","n":3,"t":true}]"#;
    stage.wait_for_traces("door/_definst_", &[r#"["plain"]"#, r#"["redirect"]"#, r#"["queued"]"#, arguments]);
    stage.finish();
}
