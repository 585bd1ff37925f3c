//! The servers that are compared, as processes on a core of their own.

use std::fmt;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rill::bench::source::Rates;

use crate::floor::Floor;

/// Application that all contenders have.
pub const APP: &str = "live";
const START_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Our server; `merge_ms` in milliseconds, or `auto`.
    Rill(Option<u64>),
    /// The machine's floor with this merging.
    Floor(u64),
    /// nginx with its RTMP module as Debian packages it: one process, `chunk_size` 4096, all else at its default. It never
    /// sets `TCP_NODELAY`; since the clients acknowledge at once, as on Ethernet, its small writes do not wait for each
    /// other.
    Nginx,
}

/// What a server is started for.
#[derive(Clone, Copy, Debug)]
pub struct Purpose<'a> {
    pub streams: usize,
    pub rates: Rates,
    pub connections: usize,
    /// What our server is told beside that, after `--set`.
    pub settings: &'a [String],
}

/// Which core is whose; `None` when there is only one.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    pub client: usize,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contender::Rill(None) => write!(f, "rill auto"),
            Contender::Rill(Some(ms)) => write!(f, "rill {ms} ms"),
            Contender::Floor(ms) => write!(f, "floor {ms} ms"),
            Contender::Nginx => write!(f, "nginx-rtmp"),
        }
    }
}

impl Contender {
    /// The name without spaces, for the command line.
    pub fn id(self) -> String {
        self.to_string().replace(" ms", "").replace(' ', "-")
    }

    /// The floor that this contender is held against.
    pub fn floor(self) -> Contender {
        match self {
            Contender::Rill(Some(ms)) | Contender::Floor(ms) => Contender::Floor(ms),
            Contender::Rill(None) | Contender::Nginx => Contender::Floor(0),
        }
    }

    /// Publishes by itself what it sends.
    pub fn makes_its_streams(self) -> bool {
        matches!(self, Contender::Floor(_))
    }

    /// Whether this machine has it.
    pub fn is_installed(self) -> bool {
        self != Contender::Nginx || (nginx().is_some() && nginx_module().is_some())
    }

    /// Starts it on a free port of the loopback address.
    pub fn start(self, purpose: Purpose<'_>, cores: Option<Cores>) -> Server {
        Server::spawn(&self.id(), cores, |port| self.command(port, purpose))
    }

    fn command(self, port: u16, purpose: Purpose<'_>) -> (PathBuf, Vec<String>) {
        match self {
            Contender::Rill(merge_ms) => {
                let merge = merge_ms.map_or("\"auto\"".to_owned(), |ms| ms.to_string());
                let connections = purpose.connections + 8;
                let settings = [
                    format!("live.merge_ms={merge}"),
                    format!("limits.connections={connections}"),
                    "limits.ram_budget_bytes=2GiB".to_owned(),
                ];
                let fixed = ["serve", "--board", "host", "--log", "warn", "--listen"].map(str::to_owned);
                let settings = settings.into_iter().chain(purpose.settings.iter().cloned());
                let set = settings.flat_map(|setting| ["--set".to_owned(), setting]);
                let arguments = fixed.into_iter().chain([format!("127.0.0.1:{port}")]).chain(set).collect();
                (env!("CARGO_BIN_EXE_rill").into(), arguments)
            }
            Contender::Floor(merge_ms) => {
                let Purpose { streams, rates, connections: players_max, .. } = purpose;
                let mut arguments = vec!["floor".to_owned()];
                arguments.extend(Floor { port, merge_ms, streams, rates, players_max }.to_arguments());
                (std::env::current_exe().expect("this program has a path"), arguments)
            }
            Contender::Nginx => nginx_command(port, purpose.connections, &format!("application {APP} {{ live on; }}")),
        }
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts what `command` says for a free port of the loopback address, and waits until it listens.
    pub fn spawn(name: &str, cores: Option<Cores>, command: impl FnOnce(u16) -> (PathBuf, Vec<String>)) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        drop(listener);
        let (program, arguments) = command(port);
        let mut command = match cores {
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &cores.server.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let log = scratch().join(format!("{name}.log"));
        let output = fs::File::create(&log).expect("the target directory can be written");
        let error_output = output.try_clone().expect("a file handle can be copied");
        let child = command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(error_output).spawn();
        let mut server = Server { child: child.expect("taskset and the server can be started"), port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().expect("a child can be asked").is_some();
            let text = || fs::read_to_string(&log).unwrap_or_default();
            assert!(!ended && begin.elapsed() < START_TIMEOUT, "{name} does not start:\n{}", text());
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Where to publish and play.
    pub fn url(&self) -> String {
        format!("rtmp://127.0.0.1:{}/{APP}/bench", self.port)
    }

    /// The host and port that it listens on.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Processor time of all its threads since its start, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.scheduled_seconds().or_else(|| self.tick_seconds()).unwrap_or(0.0)
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(self.proc_file("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Resident memory that is not read from a file, in KiB: without the program's own text. Script processes count.
    pub fn anonymous_kib(&self) -> u64 {
        self.processes().into_iter().map(|pid| memory_kib(pid, "Anonymous:")).sum()
    }

    /// From `schedstat`: the same account as utime and stime together, in nanoseconds instead of ticks.
    fn scheduled_seconds(&self) -> Option<f64> {
        let mut nanoseconds = 0;
        for pid in self.processes() {
            for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
                let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
                nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
            }
        }
        Some(nanoseconds as f64 / 1e9)
    }

    fn tick_seconds(&self) -> Option<f64> {
        let seconds = |pid| {
            let mut fields = fields(pid)?.into_iter().skip(11);
            let user: f64 = fields.next()?.parse().ok()?;
            let system: f64 = fields.next()?.parse().ok()?;
            Some((user + system) / 100.0)
        };
        self.processes().into_iter().map(seconds).sum()
    }

    /// The server's own process and those that it has started.
    fn processes(&self) -> Vec<u32> {
        // taskset becomes the server: the child's id is the server's.
        let server = self.child.id();
        let all = fs::read_dir("/proc").into_iter().flatten();
        let all = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let is_ours = |pid: &u32| *pid == server || fields(*pid).is_some_and(|fields| fields[1].parse() == Ok(server));
        all.filter(is_ours).collect()
    }

    fn proc_file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }
}

/// A line of what the kernel says of a process's memory (proc(5), `smaps_rollup`), in KiB.
pub fn memory_kib(pid: u32, line: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|text| text.strip_prefix(line));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What stands of a process behind its name in `stat` (proc(5)): state, parent, and so on.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(fields.map(str::to_owned).collect())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Binds this process to the core of clients, and says so. The servers that it starts are to be bound to theirs.
pub fn pinned() -> Option<Cores> {
    let cores = cores();
    match cores {
        Some(cores) => {
            bind_self(cores.client);
            println!("server on core {}, clients on core {}", cores.server, cores.client);
        }
        None => println!("one core, or no taskset: nothing is pinned, and the figures say little"),
    }
    cores
}

/// The first and the last core this process may use, when they are two.
fn cores() -> Option<Cores> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim().to_owned();
    let numbers: Vec<usize> = list.split([',', '-']).filter_map(|number| number.parse().ok()).collect();
    let (server, client) = (*numbers.first()?, *numbers.last()?);
    (server != client && find("taskset").is_some()).then_some(Cores { server, client })
}

fn bind_self(core: usize) {
    let own = std::process::id().to_string();
    let status = Command::new("taskset").args(["-cp", &core.to_string(), &own]).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "taskset binds a process to a core it may use");
}

/// Where logs and configurations go.
pub fn scratch() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capacity");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    directory
}

/// How nginx is started with this application.
pub fn nginx_command(port: u16, connections: usize, application: &str) -> (PathBuf, Vec<String>) {
    nginx_program(|directory| nginx_configuration(directory, port, connections, application))
}

fn nginx_program(configuration: impl FnOnce(&Path) -> String) -> (PathBuf, Vec<String>) {
    let directory = scratch().join("nginx");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration(&directory)).expect("the target directory can be written");
    let text = |path: &Path| path.display().to_string();
    let error_log = text(&directory.join("error.log"));
    let arguments = vec!["-p".into(), text(&directory), "-c".into(), text(&file), "-e".into(), error_log];
    (nginx().expect("only an installed contender is started"), arguments)
}

/// How nginx is started to serve a directory over HTTP.
pub fn nginx_files(port: u16, connections: usize, root: &Path) -> (PathBuf, Vec<String>) {
    let server = format!(
        "http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    types {{ application/vnd.apple.mpegurl m3u8; video/mp4 m4s mp4; }}
    server {{ listen 127.0.0.1:{port}; root {}; }}
}}",
        root.display()
    );
    nginx_program(|directory| nginx_process(directory, connections, "", &server))
}

fn nginx_configuration(directory: &Path, port: u16, connections: usize, application: &str) -> String {
    let module = nginx_module().expect("only an installed contender is started");
    // Buffers and times are what people run: the module's defaults, with the chunk size that every guide sets.
    let server = format!(
        "rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
        {application}
    }}
}}"
    );
    nginx_process(directory, connections, &format!("load_module {};", module.display()), &server)
}

/// One process without a master, so that its account is the server's.
fn nginx_process(directory: &Path, connections: usize, modules: &str, server: &str) -> String {
    let (directory, files) = (directory.display(), connections + 64);
    format!(
        "{modules}
daemon off;
master_process off;
worker_rlimit_nofile {files};
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
events {{ worker_connections {files}; }}
{server}
"
    )
}

fn nginx() -> Option<PathBuf> {
    find("nginx")
}

fn nginx_module() -> Option<PathBuf> {
    let places =
        ["/usr/lib/nginx/modules", "/usr/share/nginx/modules"].map(|place| Path::new(place).join("ngx_rtmp_module.so"));
    places.into_iter().find(|path| path.exists())
}

/// A program by its name; the second list holds what is not in every user's path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(program)).find(|path| path.exists())
}
