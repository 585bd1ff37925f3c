//! What the real server tells a service manager: that it is ready, alive, reloading and stopping, and what it does.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::binary::{Server, number, rill, scratch};

/// Longer than anything takes that works, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// The watchdog's interval in microseconds; pings come twice as often.
const WATCHDOG_USEC: &str = "400000";

/// A service manager, as far as notifications go.
struct Manager(UnixDatagram);

impl Manager {
    fn hears(&self, within: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(within.max(Duration::from_millis(1)))).unwrap();
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    /// Waits for one that begins like this, and returns it with what came before it.
    fn waits_for(&self, beginning: &str) -> (String, Vec<String>) {
        let (start, mut before) = (Instant::now(), Vec::new());
        loop {
            let message = self.hears(PATIENCE.saturating_sub(start.elapsed()));
            let message = message.unwrap_or_else(|| panic!("no {beginning}; there were {before:?}"));
            if message.starts_with(beginning) {
                return (message, before);
            }
            before.push(message);
        }
    }

    /// All that comes within a time.
    fn listens(&self, time: Duration) -> Vec<String> {
        let until = Instant::now() + time;
        std::iter::from_fn(|| {
            let left = until.checked_duration_since(Instant::now())?;
            self.hears(left)
        })
        .collect()
    }
}

#[test]
fn a_manager_hears_of_start_life_hang_reload_and_end() {
    let path = scratch("notify-socket").join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", WATCHDOG_USEC)];
    let mut server = Server::start_with("notify", &[], &environment);
    let (_, before) = manager.waits_for("READY=1");
    assert_eq!(before, [""; 0], "nothing comes before it listens");
    std::net::TcpStream::connect(server.address).expect("it listens when it says so");

    let idle = manager.listens(Duration::from_millis(1500));
    let pings = idle.iter().filter(|message| *message == "WATCHDOG=1").count();
    assert!((3..=9).contains(&pings), "{idle:?}");

    // A stopped process is what a stuck loop is to its manager.
    server.signal("STOP");
    manager.listens(Duration::from_millis(250));
    assert_eq!(manager.listens(Duration::from_millis(1000)), [""; 0]);
    server.signal("CONT");
    manager.waits_for("WATCHDOG=1");

    let url = format!("rtmp://{}/live", server.address);
    let mut client = rill(&["connect", &url, "--stay"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    manager.waits_for("STATUS=1 clients, 0 streams");
    client.kill().unwrap();
    client.wait().unwrap();
    manager.waits_for("STATUS=0 clients, 0 streams");

    server.signal("HUP");
    let (reloading, _) = manager.waits_for("RELOADING=1\n");
    assert!(reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse::<u64>().unwrap() > 0);
    manager.waits_for("READY=1");
    std::fs::write(server.config(), "[live]\nmerge = 5\n").unwrap();
    server.signal("HUP");
    manager.waits_for("RELOADING=1\n");
    manager.waits_for("READY=1");

    server.signal("TERM");
    manager.waits_for("STOPPING=1");
    assert_eq!(server.wait().0.code(), Some(0));
    assert_eq!(number(&server.wait_for_log("rill stopped"), "heap_allocations"), 0);
}

#[test]
fn the_status_is_told_at_most_once_a_second() {
    let path = scratch("notify-status").join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    let server = Server::start_with("notify-often", &[], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    manager.waits_for("READY=1");
    let (start, mut clients) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs(3) {
        clients.push(std::net::TcpStream::connect(server.address).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    let statuses = manager.listens(Duration::from_millis(1500));
    assert!((2..=6).contains(&statuses.len()), "{statuses:?}");
    let last = format!("STATUS={} clients, 0 streams", clients.len());
    assert_eq!(statuses.last(), Some(&last), "what happened last is told, too");
}

#[test]
fn an_abstract_socket_is_reached_and_a_watchdog_of_another_process_left_alone() {
    let name = format!("rill-test-notify-{}", std::process::id());
    let manager = Manager(UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap());
    let address = format!("@{name}");
    let environment = [("NOTIFY_SOCKET", &*address), ("WATCHDOG_USEC", WATCHDOG_USEC), ("WATCHDOG_PID", "1")];
    let _server = Server::start_with("notify-abstract", &[], &environment);
    manager.waits_for("READY=1");
    let messages = manager.listens(Duration::from_millis(1000));
    assert!(messages.iter().all(|message| message.starts_with("STATUS=")), "{messages:?}");
}

#[test]
fn without_a_manager_that_can_be_reached_the_server_serves() {
    let server = Server::start_with("notify-nobody", &[], &[("NOTIFY_SOCKET", "/nonexistent/notify")]);
    server.wait_for_log("rill notify socket=\"/nonexistent/notify\": ");
    std::net::TcpStream::connect(server.address).unwrap();
}
