//! A script process and the test's end of its link.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rill::wire::bytes::Writer;
use rill::wire::script_link::{
    Budget, ClientFacts, ClientId, Doing, Entered, FileRole, Handler, InstanceId, Question, ToHost, ToServer,
};

/// Longer than anything takes that works, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Memory for all instances of a process.
pub const MEMORY_BYTES: u64 = 16 << 20;

pub const ME: ClientId = ClientId(7);

pub struct Process {
    pub child: Child,
    link: UnixStream,
    page: PathBuf,
    inbox: Vec<u8>,
}

/// Why nothing more is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The process has closed its end.
    Closed,
    /// It has had its time.
    Late,
}

impl Process {
    /// One that has said hello.
    pub fn start() -> Process {
        Process::start_with(&[])
    }

    /// One in which the allocation of this number is refused to the first instance, and to each later one that of a number so much
    /// higher.
    pub fn start_refusing(first: u64, step: u64) -> Process {
        Process::start_with(&[first, step])
    }

    fn start_with(refused: &[u64]) -> Process {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let page = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("doing-{}-{number}", std::process::id()));
        fs::write(&page, [0; Doing::BYTES]).unwrap();
        let (link, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_rill"))
            .args(["script-host", &MEMORY_BYTES.to_string()])
            .args(refused.iter().map(u64::to_string))
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(File::options().read(true).write(true).open(&page).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut process = Process { child, link, page, inbox: Vec::new() };
        process
            .until(PATIENCE, |message| matches!(message, ToServer::Hello { version: 1, .. }).then_some(()))
            .expect("it says hello");
        process
    }

    pub fn tell(&mut self, message: &ToHost<'_>) {
        let mut buffer = vec![0; 80 * 1024];
        let mut out = Writer::new(&mut buffer);
        message.put(&mut out).unwrap();
        self.send(out.written());
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // One that has ended is found out by what it says.
        let _ = self.link.write_all(bytes);
    }

    /// The server is gone.
    pub fn close(&mut self) {
        self.link.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Goes on until `wanted` finds what it wants.
    pub fn until<R>(
        &mut self,
        patience: Duration,
        mut wanted: impl FnMut(&ToServer<'_>) -> Option<R>,
    ) -> Result<R, Silence> {
        let end = Instant::now() + patience;
        loop {
            while let Some((message, length)) = ToServer::read(&self.inbox).unwrap() {
                let found = wanted(&message);
                self.inbox.drain(..length);
                if let Some(found) = found {
                    return Ok(found);
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Silence::Late);
            }
            self.link.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 16 * 1024];
            match (&self.link).read(&mut buffer) {
                Ok(0) => return Err(Silence::Closed),
                Ok(length) => self.inbox.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(Silence::Late),
                Err(_) => return Err(Silence::Closed),
            }
        }
    }

    /// Loads a script. The error is why that is not possible.
    pub fn load(&mut self, instance: InstanceId, budget: Budget, text: &str) -> Result<Result<(), String>, Silence> {
        self.tell_script(instance, budget, text);
        self.until(PATIENCE, |message| match message {
            ToServer::Loaded { .. } => Some(Ok(())),
            ToServer::NotLoaded { reason, .. } => Some(Err((*reason).to_owned())),
            _ => None,
        })
    }

    /// Tells it a script and waits for nothing.
    pub fn tell_script(&mut self, instance: InstanceId, budget: Budget, text: &str) {
        self.tell(&ToHost::Load {
            instance,
            app: "chat",
            name: "hall",
            hostname: "_defaultVHost_",
            server: "Rill",
            budget,
        });
        let pieces = text.as_bytes().chunks(32 * 1024);
        let count = pieces.len();
        for (index, piece) in pieces.enumerate() {
            let last = index + 1 == count;
            self.tell(&ToHost::File { instance, role: FileRole::Main, name: "main.asc", piece, last });
        }
        self.tell(&ToHost::Start { instance });
    }

    pub fn connect(&mut self, instance: InstanceId) {
        let facts = ClientFacts {
            ip: "10.0.0.5",
            agent: "",
            referrer: "",
            page_url: "",
            uri: "rtmp://host/chat",
            id: "c7.1",
            protocol: "rtmp",
            secure: false,
            to_client_bytes_s: 0,
            to_server_bytes_s: 0,
        };
        self.tell(&ToHost::Connect { instance, client: ME, facts, arguments: &[] });
    }

    pub fn call(&mut self, instance: InstanceId, number: u32, name: &str) {
        let question = Question { client: ME, number, transaction: 2.0 };
        self.tell(&ToHost::Call { instance, question, name, arguments: &[] });
    }

    /// What it is about, by what it shares with the server.
    pub fn doing(&self) -> Option<(InstanceId, Handler)> {
        self.entered().map(|entered| (entered.instance, entered.handler))
    }

    /// The same, and where that is.
    pub fn entered(&self) -> Option<Entered> {
        let bytes = fs::read(&self.page).unwrap();
        let [instance, handler, line] = [0, 4, 8].map(|at| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()));
        let doing = Doing::default();
        let handler = Handler::ALL.iter().copied().find(|known| *known as u32 == handler)?;
        doing.enter(InstanceId(instance), handler);
        let file = bytes[12..].split(|byte| *byte == 0).next().unwrap();
        doing.at(std::str::from_utf8(file).unwrap(), line);
        doing.now()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.page);
    }
}
