//! `rill ctl` and the control socket: the real binary with clients of its own.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::binary::{Server, number, rill, run, scratch};
use crate::rtmp;
use rill::bench::source::{Rates, SyntheticStream};
use rill::limits::{CONTROL_CLIENTS, CONTROL_REQUEST_BYTES};
use rill::server::control::PATIENCE_MS;
use serde_json::Value;

/// A server with a control socket.
fn serve(name: &str) -> (Server, PathBuf) {
    let socket = scratch(&format!("{name}-socket")).join("rill.sock");
    let server = serve_at(name, &socket);
    (server, socket)
}

fn serve_at(name: &str, socket: &Path) -> Server {
    let setting = format!("server.control={}", socket.display());
    Server::start(name, &["--board", "rpi-zero", "--set", "limits.streams=2", "--set", &setting])
}

/// Runs `rill ctl` on the socket: status, standard output, standard error.
fn ctl(socket: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(&[&["ctl", "--socket", socket.to_str().unwrap()], arguments].concat())
}

/// The rows of a command's JSON.
fn rows(socket: &Path, command: &str) -> Vec<Value> {
    let (status, output, errors) = ctl(socket, &["--json", command]);
    assert_eq!((status, errors.as_str()), (0, ""));
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for a row of a command that `fits`.
fn wait_for_row(socket: &Path, command: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let rows = rows(socket, command);
        if let Some(row) = rows.iter().find(|row| fits(row)) {
            return row.clone();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{rows:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Heap allocations that the process says it made since it started to serve.
fn allocations(server: &Server) -> i64 {
    server.signal("USR1");
    number(&server.wait_for_log("rill status"), "heap_allocations")
}

/// An RTMP client that says what it is told to.
struct Client(TcpStream);

impl Client {
    /// Connects to an application as software of this name.
    fn new(address: SocketAddr, app: &str, agent: &str) -> Client {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let connect = rtmp::connect(1.0, &[("app", rtmp::string(app)), ("flashVer", rtmp::string(agent))]);
        let create = rtmp::call(0, "createStream", 2.0, &[rtmp::null()]);
        stream.write_all(&[rtmp::handshake(), connect, create].concat()).unwrap();
        Client(stream)
    }

    fn publisher(address: SocketAddr, app: &str, name: &str) -> Client {
        let mut client = Client::new(address, app, "encoder");
        client.0.write_all(&rtmp::publish(1, name)).unwrap();
        client
    }

    fn player(address: SocketAddr, app: &str, name: &str) -> Client {
        let mut client = Client::new(address, app, "player");
        client.0.write_all(&rtmp::play(1, name)).unwrap();
        client
    }

    /// Everything it is told until the server ends the connection, which must be no reset: the names of the commands, and
    /// the codes of the statuses.
    fn told(mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        let codes = |body: &[u8]| {
            let text = String::from_utf8_lossy(body).into_owned();
            let at = text.find("NetConnection.").or(text.find("NetStream."));
            at.map(|at| text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '.').collect::<String>())
        };
        let commands = rtmp::replies(&bytes[3073..]).into_iter().filter(|reply| reply.type_id == 20);
        commands.map(|reply| codes(&reply.body).unwrap_or_else(|| reply.name().to_owned())).collect()
    }
}

#[test]
fn without_any_configuration_server_and_ctl_find_the_same_socket_which_is_the_users_own() {
    let directory = scratch("control-usual");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    let environment = ("XDG_RUNTIME_DIR", directory.to_str().unwrap());
    let ctl = || rill(&["ctl", "apps"]).env(environment.0, environment.1).output().unwrap();
    let nobody = ctl();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).starts_with("rill: no server: "), "{nobody:?}");
    let _server = Server::start_with("control-usual-server", &[], &[environment]);
    let file = fs::metadata(directory.join("rill.sock")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.file_type().is_socket()), (0o600, true));
    let asked = ctl();
    assert!(asked.status.success() && String::from_utf8_lossy(&asked.stdout).starts_with("NAME"), "{asked:?}");
    // The next one does without, and says why.
    let second = Server::start_with("control-usual-second", &[], &[environment]);
    second.wait_for_log("a server that runs answers there");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let socket = scratch("control-diagnose-socket").join("rill.sock");
    let setting = format!("server.control={}", socket.display());
    let few = "limits.connections_per_address=2";
    let server = Server::start("control-diagnose", &["--board", "rpi-zero", "--set", few, "--set", &setting]);
    let (status, output, errors) = ctl(&socket, &["diagnose"]);
    // The machine that runs this may be hot.
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(!output.contains("in use"), "{output}");
    let _publisher = Client::publisher(server.address, "live", "cam");
    let _player = Client::player(server.address, "live", "cam");
    wait_for_row(&socket, "clients", |row| row["does"] == "plays");
    let _refused = TcpStream::connect(server.address).unwrap();
    let row = wait_for_row(&socket, "diagnose", |row| row["kind"] == "full");
    assert_eq!((&row["stream"], &row["figures"][1]), (&Value::Null, &"limits.connections_per_address".into()));
    let (status, output, errors) = ctl(&socket, &["diagnose"]);
    assert_eq!((status, errors.as_str()), (0, ""));
    let said =
        "all connections of one address are in use: there was no place for one more, once in the last minute (for ";
    let (_, rest) = output.split_once(said).unwrap_or_else(|| panic!("{output}"));
    assert!(rest.contains(" s)\n  raise limits.connections_per_address\n"), "{output}");
}

#[test]
fn lists_show_every_client_stream_and_application_as_they_are() {
    let (server, socket) = serve("control-lists");
    let agent = "say \"hi\" \\ \u{1b}[2J\u{9b}é\n";
    let _idle = Client::new(server.address, "live/room 1", agent);
    let row = wait_for_row(&socket, "clients", |row| row["does"] == "idle");
    assert_eq!((&row["id"], &row["app"], &row["instance"]), (&"c0.0".into(), &"live".into(), &"room 1".into()));
    assert_eq!((row["agent"].as_str(), &row["stream"], &row["lag_ms"]), (Some(agent), &Value::Null, &Value::Null));
    assert!(row["bytes_in"].as_u64() > Some(3000) && row["bytes_out"].as_u64() > Some(3000), "{row}");
    let _publisher = Client::publisher(server.address, "live", "cam 1");
    wait_for_row(&socket, "clients", |row| row["does"] == "publishes" && row["stream"] == "cam 1");
    let _player = Client::player(server.address, "live", "cam 1");
    wait_for_row(&socket, "clients", |row| row["does"] == "plays" && row["stream_id"] == "s0" && row["id"] == "c2.0");
    let _silent = TcpStream::connect(server.address).unwrap();
    wait_for_row(&socket, "clients", |row| row["does"] == "connecting" && row["app"] == "");

    let stream = wait_for_row(&socket, "streams", |row| row["players"] == 1);
    assert_eq!((&stream["name"], &stream["publisher"], &stream["id"]), (&"cam 1".into(), &"c1.0".into(), &"s0".into()));
    let apps = rows(&socket, "apps");
    let expected = r#"{"name":"live","kind":"live","state":"ready","instances":0,"clients":3,"streams":1}"#;
    assert_eq!(apps[0], serde_json::from_str::<Value>(expected).unwrap());
    assert_eq!((&apps[1]["name"], &apps[1]["kind"]), (&"vod".into(), &"vod".into()));
    let stats = rows(&socket, "stats").remove(0);
    assert_eq!((&stats["connections"], &stats["published_now"]), (&4.into(), &1.into()));
    assert_eq!((&stats["heap_allocations"], &stats["closed"]["operator"]), (&0.into(), &0.into()));

    let (status, table, _) = ctl(&socket, &["clients"]);
    assert_eq!((status, table.lines().count()), (0, 5), "{table}");
    assert!(table.starts_with("ID ") && table.contains("live/room 1"), "{table}");
    assert!(table.contains(r"\u{1b}[2J\u{9b}é\n") && !table.contains('\u{1b}'), "{table}");
    assert!(ctl(&socket, &["streams"]).1.contains("cam 1"));
    assert!(ctl(&socket, &["stats"]).1.contains("heap allocations"));
}

#[test]
fn a_name_is_live_with_a_publisher_away_while_it_may_come_back_and_else_waiting() {
    let (server, socket) = serve("control-states");
    let state = |name: &str, wanted: &str| {
        wait_for_row(&socket, "streams", |row| row["name"] == name && row["state"] == wanted)
    };
    let publisher = Client::publisher(server.address, "live", "cam");
    assert_eq!(state("cam", "live")["publisher"], "c0.0");
    let _player = Client::player(server.address, "live", "cam");
    let _early = Client::player(server.address, "live", "later");
    assert_eq!(state("later", "waiting")["publisher"], Value::Null);
    drop(publisher);
    assert_eq!(state("cam", "away")["publisher"], Value::Null);
    let table = ctl(&socket, &["streams"]).1;
    let states = table.lines().map(|line| line.split_whitespace().nth(3).unwrap()).collect::<Vec<_>>();
    assert_eq!(states, ["STATE", "away", "waiting"], "{table}");
    drop(Client::publisher(server.address, "live", "cam"));
    state("cam", "away");
}

#[test]
fn who_is_disconnected_reads_close_and_the_end_and_the_log_says_the_operator_did_it() {
    let (server, socket) = serve("control-disconnect");
    let client = Client::publisher(server.address, "live", "cam");
    wait_for_row(&socket, "clients", |row| row["does"] == "publishes");
    assert_eq!(ctl(&socket, &["disconnect", "c0.0"]), (0, "c0.0 is being disconnected\n".into(), String::new()));
    let told = client.told();
    assert_eq!(told.last().map(String::as_str), Some("close"), "{told:?}");
    assert!(server.wait_for_log("c0.0 closed").contains("reason=\"the operator ended it (rill ctl)\""));
    server.wait_for_log("c0.0 control request=\"disconnect\"");
    for (id, expected) in [
        ("c0.0", "rill: there is no client c0.0 (any more): see clients\n"),
        ("c4000000000.1", "rill: there is no client c4000000000.1 (any more): see clients\n"),
        ("7.2", "rill: \"7.2\" is not the id of a client, like c7.2: see clients\n"),
    ] {
        assert_eq!(ctl(&socket, &["disconnect", id]), (1, String::new(), expected.into()));
    }
    assert_eq!(rows(&socket, "stats")[0]["closed"]["operator"], 1);
}

/// As OBS, which reads nothing that it is told and notices its end when it cannot send.
#[test]
fn an_encoder_that_only_sends_cannot_send_soon_after_it_was_sent_away() {
    for command in [["disconnect", "c0.0"], ["unload", "live"], ["shutdown-app", "live"]] {
        let (server, socket) = serve(&format!("control-{}-encoder", command[0]));
        let mut client = Client::publisher(server.address, "live", "cam");
        wait_for_row(&socket, "clients", |row| row["does"] == "publishes");
        assert_eq!(ctl(&socket, &command).0, 0);
        let start = Instant::now();
        while client.0.write_all(&rtmp::message(4, 0, 8, 1, &[0xAF, 1, 2, 3])).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(3), "{command:?}: it still sends");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn an_application_is_shut_down_and_one_instance_of_it_unloaded() {
    let (server, socket) = serve("control-applications");
    let (a, b) = (Client::publisher(server.address, "live/a", "x"), Client::player(server.address, "live/b", "x"));
    wait_for_row(&socket, "apps", |row| row["clients"] == 2);
    wait_for_row(&socket, "clients", |row| row["does"] == "publishes");
    wait_for_row(&socket, "clients", |row| row["does"] == "plays");
    assert_eq!(ctl(&socket, &["unload", "live/a"]).1, "1 client is being disconnected\n");
    let told = a.told();
    let end = ["NetStream.Unpublish.Success", "NetConnection.Connect.AppShutdown", "close"];
    assert_eq!(told[told.len() - 3..], end, "{told:?}");
    assert_eq!(wait_for_row(&socket, "apps", |row| row["name"] == "live")["clients"], 1);
    assert_eq!(ctl(&socket, &["shutdown-app", "live"]).1, "1 client is being disconnected\n");
    let told = b.told();
    assert_eq!(told[told.len() - 2..], ["NetConnection.Connect.AppShutdown", "close"], "{told:?}");
    assert_eq!(ctl(&socket, &["--json", "unload", "live"]).1, "{\"disconnected\":0}\n");
    for command in ["unload", "shutdown-app"] {
        let (status, _, errors) = ctl(&socket, &[command, "nope"]);
        assert_eq!((status, errors.as_str()), (1, "rill: there is no application \"nope\": see apps\n"));
    }
}

#[test]
fn the_file_is_for_user_and_group_only_and_goes_when_the_server_ends() {
    let root = scratch("control-file");
    fs::create_dir_all(root.join("applications/live")).unwrap();
    // Where others may look, so that the socket's own mode is what stops them.
    let mut server = Server::start("control-file-log", &["--board", "rpi-zero", "--root", root.to_str().unwrap()]);
    let socket = root.join("rill.sock");
    let file = fs::metadata(&socket).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o7777, 0o660);
    assert_eq!(file.uid(), fs::metadata("/proc/self").unwrap().uid());
    assert_eq!(run(&["ctl", "--root", root.to_str().unwrap(), "clients"]).1, "no clients\n");
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    assert!(!socket.exists());
    let (status, _, errors) = run(&["ctl", "--root", root.to_str().unwrap(), "clients"]);
    assert!(status == 1 && errors.starts_with("rill: no server: ") && errors.contains("does not exist"), "{errors}");
}

#[test]
fn others_are_told_which_group_may_ask() {
    const NOBODY: u32 = 65534;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("only root can run a program as somebody else: not tested");
        return;
    }
    // Neither may be under a directory that only root can enter.
    let place = std::env::temp_dir().join(format!("rill-others-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    let binary = place.join("rill");
    fs::copy(env!("CARGO_BIN_EXE_rill"), &binary).unwrap();
    let socket = place.join("rill.sock");
    let _server = serve_at("control-others", &socket);
    let mut command = std::process::Command::new(&binary);
    command.args(["ctl", "clients", "--socket"]).arg(&socket).uid(NOBODY).gid(NOBODY);
    let output = command.output().unwrap();
    fs::remove_file(&binary).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("no permission: ") && errors.contains("group root with mode 0660"), "{errors}");
    drop(_server);
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_killed_servers_file_is_replaced_and_a_second_server_is_refused() {
    let (mut first, socket) = serve("control-first");
    let setting = format!("server.control={}", socket.display());
    let http = "server.http=[]";
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--board", "rpi-zero", "--set", &setting, "--set", http];
    let (status, _, errors) = run(&arguments);
    let expected = format!(
        "rill: no control socket at {}: a server that runs answers there; stop it, or name another path \
         (server.control, \"\" for none)\n",
        socket.display()
    );
    assert_eq!((status, errors), (1, expected));
    assert_eq!(ctl(&socket, &["clients"]).1, "no clients\n", "the first goes on");
    first.signal("KILL");
    first.wait();
    let (status, _, errors) = ctl(&socket, &["clients"]);
    assert!(status == 1 && errors.contains("left behind by a server that has ended"), "{errors}");
    let _again = serve_at("control-again", &socket);
    assert_eq!(ctl(&socket, &["clients"]).1, "no clients\n");
}

#[test]
fn what_cannot_be_asked_is_a_mistake_of_the_command_line_or_of_the_configuration() {
    let (status, help, _) = run(&["ctl"]);
    assert!(status == 0 && help.contains("shutdown-app APP"), "{help}");
    let (status, _, errors) = run(&["ctl", "cleints"]);
    assert!(status == 2 && errors.starts_with("rill: unknown command cleints, did you mean clients?"), "{errors}");
    let (status, _, errors) = run(&["ctl", "--set", "server.control=", "clients"]);
    assert!(status == 1 && errors.contains("the configuration names no control socket"), "{errors}");
    let file = scratch("control-wrong").join("file");
    fs::write(&file, "").unwrap();
    let (status, _, errors) = ctl(&file, &["clients"]);
    assert!(status == 1 && errors.contains("is not a socket"), "{errors}");
    let setting = format!("server.control={}", file.display());
    let (status, _, errors) = run(&["serve", "--listen", "127.0.0.1:0", "--board", "rpi-zero", "--set", &setting]);
    assert!(status == 1 && errors.contains("something that is not a socket has that name"), "{errors}");
}

/// The lines of an answer to what is written, up to the end of the connection.
fn converse(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn requests_may_come_together_and_wrong_ones_are_answered() {
    let (_server, socket) = serve("control-requests");
    assert_eq!(
        converse(&socket, b"clients\r\nstreams\n\n"),
        "{\"ok\":true}\n{\"ok\":true}\n{\"error\":\"unknown command \\\"\\\"\"}\n"
    );
    assert_eq!(converse(&socket, b"clients"), "", "half a request is none");
    assert_eq!(converse(&socket, b"cli\xFF\n"), "{\"error\":\"the request is not UTF-8\"}\n");
    assert_eq!(converse(&socket, b"disconnect\n"), "{\"error\":\"disconnect needs an argument\"}\n");
    assert_eq!(converse(&socket, b"stats now\n"), "{\"error\":\"stats takes no argument\"}\n");
    let long = [&b"disconnect "[..], &[b'\x01'; 480], b"\n"].concat();
    let error: Value = serde_json::from_str(&converse(&socket, &long)).unwrap();
    assert!(error["error"].as_str().unwrap().starts_with("\"\\u{1}\\u{1}"), "{error}");
    let endless = [b'x'; CONTROL_REQUEST_BYTES];
    assert_eq!(converse(&socket, &endless), "{\"error\":\"the request is longer than 512 bytes\"}\n");
}

#[test]
fn as_many_may_ask_at_once_as_there_are_places_and_half_requests_free_them_in_time() {
    let (server, socket) = serve("control-busy");
    // The server's patience begins when it accepts them.
    let start = Instant::now();
    let mut busy: Vec<UnixStream> = (0..CONTROL_CLIENTS).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    busy.iter_mut().for_each(|client| client.write_all(b"clie").unwrap());
    let (status, _, errors) = ctl(&socket, &["clients"]);
    assert!(status == 1 && errors.contains("busy"), "{errors}");
    busy.pop();
    let left = || rill(&["ctl", "--socket", socket.to_str().unwrap(), "clients"]).output().unwrap().status.success();
    let deadline = Instant::now() + Duration::from_secs(2);
    while !left() {
        assert!(Instant::now() < deadline, "the place of the one that left is not free");
    }
    // A flood of them: each is told that there is no place, and clients of the server notice nothing.
    let mut flood: Vec<UnixStream> = (0..300).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for client in &mut flood {
        // The server may have closed it already.
        let _ = client.write_all(b"streams");
    }
    let _publisher = Client::publisher(server.address, "live", "cam");
    server.wait_for_log("publish start");
    for client in &mut busy {
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(client.read(&mut [0; 16]).unwrap(), 0, "it is closed without an answer");
    }
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(PATIENCE_MS) && took < Duration::from_millis(PATIENCE_MS + 3000), "{took:?}");
    drop(flood);
    wait_for_row(&socket, "clients", |row| row["does"] == "publishes");
    assert_eq!(allocations(&server), 0);
}

#[test]
fn who_does_not_read_a_long_list_is_closed_and_holds_nobody_up() {
    let (server, socket) = serve("control-unread");
    let _clients: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    wait_for_row(&socket, "stats", |row| row["connections"] == 60);
    let mut greedy = UnixStream::connect(&socket).unwrap();
    greedy.set_nonblocking(true).unwrap();
    // As many lists as it takes until neither side takes more.
    let start = Instant::now();
    let mut asked = 0;
    while start.elapsed() < Duration::from_secs(1) {
        match greedy.write(&b"clients\n".repeat(64)) {
            Ok(bytes) => asked += bytes / 8,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    assert!(asked > 100, "{asked}");
    assert_eq!(rows(&socket, "clients").len(), 60, "others are answered meanwhile");
    std::thread::sleep(Duration::from_millis(PATIENCE_MS + 1000));
    let error = greedy.write(b"clients\n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    // What it was sent before is whole rows, and then it ends.
    let mut text = Vec::new();
    let _ = greedy.read_to_end(&mut text);
    assert!(text.len() > 100_000, "{}", text.len());
    let whole = text.rsplit(|&byte| byte == b'\n').skip(1);
    assert!(whole.take(100).all(|row| serde_json::from_slice::<Value>(row).is_ok()));
    assert_eq!(allocations(&server), 0);
}

#[test]
fn recordings_are_listed_in_the_order_of_names_and_deleted_and_nothing_else_is() {
    let root = scratch("control-recordings-root");
    let recordings = root.join("applications/live/recordings");
    let (cam, hall) = (recordings.join("cam"), recordings.join("hall/left"));
    let named = root.join("applications/live/streams/_definst_");
    for folder in [&cam, &hall, &named, &root.join("elsewhere")] {
        fs::create_dir_all(folder).unwrap();
    }
    for n in 1..=100 {
        fs::write(cam.join(format!("{n:06}-nodate.flv")), "x").unwrap();
    }
    for path in [hall.join("000007-nodate.mp4"), named.join("cam.flv"), root.join("elsewhere/secret.flv")] {
        fs::write(path, "longer").unwrap();
    }
    fs::write(cam.join("notes.txt"), "").unwrap();
    std::os::unix::fs::symlink(root.join("elsewhere/secret.flv"), cam.join("link.flv")).unwrap();
    std::os::unix::fs::symlink(root.join("elsewhere"), recordings.join("link")).unwrap();
    let server = Server::start("control-recordings", &["--root", root.to_str().unwrap()]);
    let socket = root.join("rill.sock");
    let files = |of: &[&str]| -> Vec<String> {
        let (status, output, errors) = ctl(&socket, &[&["--json", "recordings"], of].concat());
        assert_eq!((status, errors.as_str()), (0, ""));
        let rows = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| row["file"].as_str().unwrap().to_owned()).collect()
    };
    let before = server.resident_kib();
    let all = files(&[]);
    assert_eq!(all.len(), 102, "{all:?}");
    assert_eq!(all[0], "live/cam/000001-nodate.flv");
    assert_eq!(
        all[99..],
        ["live/cam/000100-nodate.flv", "live/hall/left/000007-nodate.mp4", "live/streams/_definst_/cam.flv"]
    );
    assert_eq!(files(&["live"]), all);
    assert_eq!(files(&["live/hall"]), ["live/hall/left/000007-nodate.mp4"]);
    assert_eq!(files(&["live/cam"]).len(), 101, "its folder, and the file of its name");
    assert!(files(&["vod"]).is_empty() && files(&["live/ca"]).is_empty() && files(&["../live"]).is_empty());
    let table = ctl(&socket, &["recordings", "live/hall"]).1;
    // What it holds is no recording. Until that is found out, behind the others, it counts as one that is to be finished.
    let is_listed = table.contains("  6 B  ") && ["unfinished", "complete"].iter().any(|state| table.contains(state));
    assert!(table.starts_with("FILE ") && is_listed, "{table}");
    for (file, why) in [
        ("live/cam/000200-nodate.flv", "there is no such recording: see recordings"),
        ("vod/cam/000001-nodate.flv", "there is no such recording: see recordings"),
        ("live/cam/notes.txt", "that is not how recordings are called: APP/PATH/FILE, see recordings"),
        ("live/cam", "that is not how recordings are called: APP/PATH/FILE, see recordings"),
        ("live/../../elsewhere/secret.flv", "that is not how recordings are called: APP/PATH/FILE, see recordings"),
        ("/live/cam/000001-nodate.flv", "that is not how recordings are called: APP/PATH/FILE, see recordings"),
        ("live/cam/link.flv", "it is a link, or behind one, and no recording of this server"),
        ("live/link/secret.flv", "it is a link, or behind one, and no recording of this server"),
    ] {
        assert_eq!(ctl(&socket, &["delete-recording", file]), (1, String::new(), format!("rill: {why}\n")), "{file}");
    }
    assert!(root.join("elsewhere/secret.flv").exists());
    for file in ["live/cam/000050-nodate.flv", "live/hall/left/000007-nodate.mp4", "live/streams/_definst_/cam.flv"] {
        assert_eq!(ctl(&socket, &["delete-recording", file]), (0, format!("{file} is deleted\n"), String::new()));
    }
    assert_eq!(files(&[]).len(), 99);
    assert!(!cam.join("000050-nodate.flv").exists() && !named.join("cam.flv").exists());
    // Two at once: one of them is told so, or comes behind the other.
    let answers: Vec<String> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..3).map(|_| scope.spawn(|| converse(&socket, b"recordings\n"))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let whole =
        answers.iter().filter(|answer| answer.lines().count() == 100 && answer.ends_with("{\"ok\":true}\n")).count();
    let busy = answers.iter().filter(|answer| answer.starts_with("{\"error\":\"the disk is being asked")).count();
    assert!(whole >= 1 && whole + busy == 3, "{answers:?}");
    assert_eq!(allocations(&server), 0);
    let after = server.resident_kib();
    assert!(after < before + 400, "{before} KiB became {after} KiB");
}

#[test]
fn what_is_being_recorded_is_listed_so_and_not_deleted() {
    let root = scratch("control-recorded-root");
    fs::create_dir_all(root.join("applications/live")).unwrap();
    let server = Server::start("control-recorded", &["--root", root.to_str().unwrap(), "--set", "record.on=true"]);
    let socket = root.join("rill.sock");
    let mut publisher = Client::publisher(server.address, "live", "cam");
    let mut source = SyntheticStream::new(Rates { bitrate_bps: 500_000, frame_rate: 25 }, 0);
    let mut bytes = Vec::new();
    source.headers(1, 128, &mut bytes);
    for _ in 0..400 {
        source.next(0, 1, 128, &mut bytes);
    }
    publisher.0.write_all(&bytes).unwrap();
    let row = wait_for_row(&socket, "recordings", |row| row["state"] == "recording");
    let file = row["file"].as_str().unwrap();
    assert!(file.starts_with("live/cam/000001-"), "{file}");
    let refused = ctl(&socket, &["delete-recording", file]);
    assert_eq!(refused, (1, String::new(), "rill: it is being recorded: record stop first\n".to_owned()));
    bytes.clear();
    for _ in 0..400 {
        source.next(0, 1, 128, &mut bytes);
    }
    publisher.0.write_all(&bytes).unwrap();
    wait_for_row(&socket, "recordings", |row| row["bytes"].as_u64().unwrap() > 100_000);
    assert_eq!(ctl(&socket, &["record", "stop", "live/cam"]).1, "the recording is being completed\n");
    wait_for_row(&socket, "recordings", |row| row["state"] == "complete");
    assert_eq!(ctl(&socket, &["delete-recording", file]).0, 0);
    assert_eq!(ctl(&socket, &["recordings"]).1, "no recordings\n");
    assert_eq!(ctl(&socket, &["record", "start", "live/cam"]).1, "the stream is being recorded\n");
}

#[test]
fn two_hundred_questions_cost_no_heap() {
    let (server, socket) = serve("control-allocation");
    let _publisher = Client::publisher(server.address, "live", "cam");
    let _players: Vec<Client> = (0..10).map(|_| Client::player(server.address, "live", "cam")).collect();
    wait_for_row(&socket, "streams", |row| row["players"] == 10);
    let before = server.resident_kib();
    for round in 0..40 {
        for command in ["apps", "clients", "streams", "stats"] {
            assert_eq!(ctl(&socket, &[command]).0, 0);
        }
        let _idle = Client::new(server.address, "live/other", "idle");
        let row = wait_for_row(&socket, "clients", |row| row["instance"] == "other" && row["does"] == "idle");
        let command: &[&str] = match round % 2 {
            0 => &["disconnect", row["id"].as_str().unwrap()],
            _ => &["unload", "live/other"],
        };
        assert_eq!(ctl(&socket, command).0, 0);
    }
    assert_eq!(allocations(&server), 0);
    let after = server.resident_kib();
    assert!(after * 100 <= before * 102, "{before} KiB became {after} KiB");
}
