//! The walls around scripts, from inside: this program puts them up for itself, and then tries what a script must never do.
//! They hold for a process as a whole, so it has no harness, and starts itself anew.

fn main() {
    #[cfg(all(feature = "script", target_os = "linux"))]
    walls::main();
}

#[cfg(all(feature = "script", target_os = "linux"))]
mod walls {
    #![allow(clippy::unwrap_used, reason = "a test that cannot start its process has failed")]

    use std::env;
    use std::fs::{self, File};
    use std::io;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    const MEMORY_BYTES: u64 = 16 << 20;

    /// What works everywhere else, and whether it must within the walls.
    type Attempt = (&'static str, bool, fn() -> io::Result<()>);

    const ATTEMPTS: [Attempt; 14] = [
        ("open a file", false, || File::open("/etc/passwd").map(drop)),
        ("open a device", false, || File::open("/dev/null").map(drop)),
        ("make a file", false, || File::create(scratch("file")).map(drop)),
        ("make a directory", false, || fs::create_dir(scratch("directory")).map(drop)),
        ("list a directory", false, || fs::read_dir("/").map(drop)),
        ("look at a file", false, || fs::metadata("/etc/passwd").map(drop)),
        ("listen", false, || TcpListener::bind("127.0.0.1:0").map(drop)),
        ("send a datagram", false, || UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("listen at a path", false, || UnixListener::bind(scratch("socket")).map(drop)),
        ("make a pair of sockets", false, || UnixStream::pair().map(drop)),
        ("run a program", false, || Command::new("/bin/true").status().map(drop)),
        ("take more than its memory", false, || take(MEMORY_BYTES + (40 << 20))),
        ("take its memory", true, || take(MEMORY_BYTES)),
        ("ask for the time", true, || {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(2) {}
            Ok(())
        }),
    ];

    fn scratch(name: &str) -> String {
        format!("{}/sandbox/{name}", env!("CARGO_TARGET_TMPDIR"))
    }

    fn take(bytes: u64) -> io::Result<()> {
        let mut block: Vec<u8> = Vec::new();
        block.try_reserve_exact(bytes as usize).map_err(|_| io::ErrorKind::OutOfMemory)?;
        block.resize(bytes as usize, 1);
        std::hint::black_box(&block);
        Ok(())
    }

    pub(crate) fn main() {
        if let Some(place) = env::args().nth(1).filter(|place| ["inside", "outside"].contains(&place.as_str())) {
            return attempt_all(place == "inside");
        }
        for place in ["outside", "inside"] {
            let _ = fs::remove_dir_all(scratch(""));
            fs::create_dir_all(scratch("")).unwrap();
            let output = Command::new(env::current_exe().unwrap())
                .arg(place)
                .stdin(Stdio::null())
                .stderr(Stdio::inherit())
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            println!("{place}\n{said}");
            assert!(output.status.success(), "{:?}", output.status);
            for (name, works_inside, _) in ATTEMPTS {
                let works = format!("{name}: {}", works_inside || place == "outside");
                assert!(said.lines().any(|line| line == works), "{works}");
            }
        }
    }

    fn attempt_all(inside: bool) {
        if inside {
            println!("without {:?}", rill::host::confine(MEMORY_BYTES));
        }
        for (name, _, attempt) in ATTEMPTS {
            println!("{name}: {}", attempt().is_ok());
        }
    }
}
