//! Recorded streams and the programs that play them: whole films equal ffmpeg's own copy packet by packet, and so do parts, what is
//! behind a seek, and downloads that are resumed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::scripted::stage::python;
use crate::support::clients::{PlayerKind, ffmpeg_play, rtmpdump};
use crate::support::media::{Media, Packet};
use crate::support::process::{Process, output_of};
use crate::support::server::Server;
use crate::support::{Scratch, emulated, patience, wait_until};

/// How long the film is, in seconds.
const SECONDS: u32 = 8;

/// A server with the film `film.mp4`, which has pictures that are shown in another order than they are sent, edit lists and sound.
struct Cinema {
    server: Server,
    scratch: Scratch,
    media: PathBuf,
}

impl Cinema {
    fn new(name: &str) -> Cinema {
        let scratch = Scratch::new(name);
        let media = scratch.path("root/applications/vod/media");
        fs::create_dir_all(&media).unwrap();
        encode(&media.join("film.mp4"), SECONDS, &["-bf", "2", "-g", "50"]);
        let root = format!("server.root={}", scratch.path("root").display());
        let server = Server::start(&scratch, &[&root]);
        Cinema { server, scratch, media }
    }

    fn url(&self, name: &str) -> String {
        self.server.url_in("vod", name)
    }

    fn spawn(&self, name: &str, mut command: Command) -> Process {
        Process::spawn(&self.scratch, name, &mut command)
    }

    /// The film as ffmpeg copies it into an FLV file.
    fn copied(&self, name: &str) -> PathBuf {
        let copy = self.scratch.path(&format!("{name}.copy.flv"));
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-y", "-i"]).arg(self.media.join(name));
        output_of(command.args(["-c", "copy", "-f", "flv"]).arg(&copy));
        copy
    }
}

/// A film of so many seconds.
fn encode(file: &Path, seconds: u32, options: &[&str]) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error", "-y"]);
    command.args(["-f", "lavfi", "-i", "testsrc2=size=192x144:rate=25"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:beep_factor=3:sample_rate=48000"]);
    command.args(["-t", &seconds.to_string(), "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"]);
    output_of(command.args(options).args(["-c:a", "aac", "-b:a", "48k"]).arg(file));
}

fn end() -> Duration {
    patience(25.0)
}

#[test]
fn a_whole_film_comes_to_every_client_as_ffmpeg_copies_it_and_each_ends_by_itself() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("whole");
    let film = Media::packets(&cinema.copied("film.mp4"));
    assert!(film.packet_count() > 500);
    let url = cinema.url("film.mp4");
    let file = |name: &str| cinema.scratch.path(name);
    let clients = [
        ("ffmpeg", ffmpeg_play(&url, &file("ffmpeg.flv"))),
        // Its share of the last frame is less than what it calls complete.
        ("rtmpdump", rtmpdump(&url, &file("rtmpdump.flv"), &["--quiet"])),
        ("gst", PlayerKind::Gst.play(&url, &file("gst.flv"))),
    ];
    let clients = clients.map(|(name, command)| (name, cinema.spawn(name, command)));
    for (name, mut client) in clients {
        let status = client.wait(end());
        assert!(status.success() || name == "rtmpdump", "{name}: {status}\n{}", client.log());
        Media::packets(&file(&format!("{name}.flv"))).assert_equals(&film);
    }
}

#[test]
fn every_spelling_of_a_name_finds_the_file_and_what_is_none_is_an_answer() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("names");
    let copy = cinema.copied("film.mp4");
    fs::create_dir(cinema.media.join("more")).unwrap();
    for (name, from) in [("b.flv", &copy), ("more/c.mp4", &cinema.media.join("film.mp4"))] {
        fs::copy(from, cinema.media.join(name)).unwrap();
    }
    fs::write(cinema.media.join("text.mp4"), "this is no film").unwrap();
    let film = Media::packets(&copy);
    for (number, name) in ["mp4:film", "film.mp4", "b", "flv:b", "b.flv", "more/c.mp4", "mp4:more/c"].iter().enumerate()
    {
        let file = cinema.scratch.path(&format!("{number}.flv"));
        let mut command = Command::new("rtmpdump");
        command.args(["--quiet", "--rtmp", &cinema.url(""), "--playpath", name, "--flv"]).arg(&file);
        cinema.spawn(&format!("named-{number}"), command).wait(end());
        Media::packets(&file).assert_equals(&film);
    }
    for (name, why) in [("nothing.mp4", "stream not found"), ("text.mp4", "none that can be played")] {
        let mut client = cinema.spawn(name, ffmpeg_play(&cinema.url(name), &cinema.scratch.path("none.flv")));
        assert!(!client.wait(end()).success());
        assert!(client.log().contains(why), "{}", client.log());
    }
}

#[test]
fn a_part_of_a_film_and_the_rest_of_a_download_are_what_they_are_of_the_whole() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("parts");
    let copy = cinema.copied("film.mp4");
    let film = Media::packets(&copy);
    let part = cinema.scratch.path("part.flv");
    let options = ["--quiet", "--start", "2", "--stop", "5"];
    cinema.spawn("part", rtmpdump(&cinema.url("film.mp4"), &part, &options)).wait(end());
    let part = Media::packets(&part);
    for (kind, part, film) in [("video", &part.video, &film.video), ("audio", &part.audio, &film.audio)] {
        let (part, film) = (part.as_ref().unwrap(), film.as_ref().unwrap());
        // What lies before the start has its time.
        let wanted: Vec<_> = film.packets.iter().filter(|packet| (2000..5000).contains(&packet.dts_ms)).collect();
        let got: Vec<_> = part.packets.iter().collect();
        let tail = &got[got.len() - wanted.len()..];
        assert!(tail.iter().zip(&wanted).all(|(got, wanted)| got.md5 == wanted.md5), "{kind}");
        let late_ms = |(got, wanted): (&&Packet, &&Packet)| (got.dts_ms - wanted.dts_ms).abs();
        assert!(tail.iter().zip(&wanted).all(|pair| late_ms(pair) <= 1), "{kind}");
        assert!(got.len() - wanted.len() <= 1, "{kind}: from the key frame at the start");
    }

    // A download that was stopped is whole tags.
    let download = cinema.scratch.path("download.flv");
    cinema.spawn("download", rtmpdump(&cinema.url("film.mp4"), &download, &["--quiet"])).wait(end());
    let whole = fs::read(&download).unwrap();
    let mut length = 13;
    while length < whole.len() / 2 {
        let size = u32::from_be_bytes([0, whole[length + 1], whole[length + 2], whole[length + 3]]);
        length += 11 + size as usize + 4;
    }
    let resumed = cinema.scratch.path("resumed.flv");
    fs::write(&resumed, &whole[..length]).unwrap();
    let mut client = cinema.spawn("resumed", rtmpdump(&cinema.url("film.mp4"), &resumed, &["--quiet", "--resume"]));
    client.wait(end());
    Media::packets(&resumed).assert_equals(&film);
}

#[test]
fn ffmpeg_seeks_to_the_picture() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("seek");
    let copy = cinema.copied("film.mp4");
    let pictures = |input: &str, at: &str| {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-ss", at, "-i", input, "-map", "0:v"]);
        output_of(command.args(["-f", "framemd5", "-"]))
    };
    for at in ["1", "5.2", "7.6"] {
        let expected = pictures(copy.to_str().unwrap(), at);
        assert!(pictures(&cinema.url("film.mp4"), at) == expected, "behind {at} s");
    }
    // All of these is sent at once, before the client seeks.
    for (name, seconds, at) in [("four.mp4", 4, "2"), ("two.mp4", 2, "1")] {
        encode(&cinema.media.join(name), seconds, &["-bf", "2", "-g", "25"]);
        let expected = pictures(cinema.copied(name).to_str().unwrap(), at);
        assert!(pictures(&cinema.url(name), at) == expected, "{name} behind {at} s");
    }
}

#[test]
fn rtmpdump_has_a_film_as_fast_as_the_line_is_and_rtmpsrc_again_and_again() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("fast");
    // Longer than what a client may have ahead: it pauses and goes on for more.
    encode(&cinema.media.join("long.mp4"), 100, &["-r", "10", "-s", "96x72"]);
    let film = Media::packets(&cinema.copied("long.mp4"));
    let file = cinema.scratch.path("long.flv");
    let began = Instant::now();
    cinema.spawn("long", rtmpdump(&cinema.url("long.mp4"), &file, &["--quiet"])).wait(end());
    assert!(began.elapsed() < patience(20.0), "{:?}", began.elapsed());
    Media::packets(&file).assert_equals(&film);

    // After the end it connects again at once.
    let mut command = Command::new("gst-launch-1.0");
    let location = format!("location={}", cinema.url("film.mp4"));
    command.args(["--quiet", "rtmpsrc", &location, "!", "fakesink", "sync=false"]);
    let mut storm = cinema.spawn("storm", command);
    // librtmp asks for mp4:film.
    cinema.server.wait_for_players("film", 15);
    let mut quiet = cinema.spawn("quiet", rtmpdump(&cinema.url("film.mp4"), &file, &["--quiet"]));
    quiet.wait(end());
    Media::packets(&file).assert_equals(&Media::packets(&cinema.copied("film.mp4")));
    storm.kill();
}

/// What a player is told what to do over, once it has opened that.
fn socket_of(path: &Path) -> UnixStream {
    let mut socket = None;
    wait_until(patience(10.0), || {
        socket = UnixStream::connect(path).ok();
        socket.is_some()
    });
    socket.expect("the player opens its socket")
}

/// mpv, told what to do over its socket.
pub struct Mpv {
    pub process: Process,
    socket: BufReader<UnixStream>,
}

impl Mpv {
    pub fn play(scratch: &Scratch, url: &str) -> Mpv {
        let path = scratch.path("mpv.sock");
        let mut command = Command::new("mpv");
        command.args(["--no-config", "--vo=null", "--ao=null", "--really-quiet", url]);
        command.arg(format!("--input-ipc-server={}", path.display()));
        let process = Process::spawn(scratch, "mpv", &mut command);
        Mpv { process, socket: BufReader::new(socket_of(&path)) }
    }

    pub fn tell(&mut self, command: &str) -> serde_json::Value {
        let request = format!("{{\"command\":[{command}],\"request_id\":7}}\n");
        self.socket.get_mut().write_all(request.as_bytes()).unwrap();
        loop {
            let mut line = String::new();
            assert!(self.socket.read_line(&mut line).unwrap() > 0, "mpv has ended");
            let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
            if answer["request_id"] == 7 {
                return answer["data"].clone();
            }
        }
    }

    pub fn wait_for(&mut self, from: f64, to: f64) {
        let mut at = None;
        let comes = wait_until(patience(10.0), || {
            at = self.tell("\"get_property\",\"time-pos\"").as_f64();
            at.is_some_and(|at| (from..to).contains(&at))
        });
        assert!(comes, "{from}..{to}: {at:?}");
    }
}

#[test]
fn mpv_seeks_and_goes_on_after_a_pause() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("mpv");
    encode(&cinema.media.join("long.mp4"), 60, &["-g", "50"]);
    let mut mpv = Mpv::play(&cinema.scratch, &cinema.url("long.mp4"));
    mpv.wait_for(0.3, 5.0);
    assert_eq!(mpv.tell("\"get_property\",\"seekable\""), true);
    for at in [41.0, 7.0] {
        mpv.tell(&format!("\"seek\",{at},\"absolute+exact\""));
        mpv.wait_for(at, at + 1.0);
        mpv.wait_for(at + 0.4, at + 3.0);
    }
    mpv.tell("\"set_property\",\"pause\",true");
    let at = mpv.tell("\"get_property\",\"time-pos\"").as_f64().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    mpv.tell("\"set_property\",\"pause\",false");
    mpv.wait_for(at + 0.5, at + 3.0);
    mpv.tell("\"seek\",58.5,\"absolute+exact\"");
    mpv.process.wait_success(end());
}

#[test]
fn ffplay_plays_to_the_end_also_from_where_it_is_told_to_begin() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("ffplay");
    for (begin, least) in [(0, 7), (5, 2)] {
        let mut command = Command::new("ffplay");
        command.env("SDL_VIDEODRIVER", "dummy").env("SDL_AUDIODRIVER", "dummy");
        command.args(["-autoexit", "-loglevel", "error", "-ss", &begin.to_string(), &cinema.url("film.mp4")]);
        let start = Instant::now();
        let mut process = cinema.spawn("ffplay", command);
        process.wait_success(end());
        // At its own pace, and no longer than to the end.
        assert!(start.elapsed() >= Duration::from_secs(least), "from {begin} s: {:?}", start.elapsed());
        assert_eq!(process.log().trim(), "", "from {begin} s");
    }
}

/// VLC, told what to do over its socket.
struct Vlc {
    process: Process,
    socket: UnixStream,
}

impl Vlc {
    fn play(cinema: &Cinema, url: &str) -> Vlc {
        // Root's VLC does not start, so it is somebody else's, who has a directory.
        let home = cinema.scratch.path("vlc");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
        let path = home.join("rc");
        let mut command = Command::new("vlc");
        command.env("HOME", &home).args([
            "-I",
            "oldrc",
            "--rc-fake-tty",
            "--no-color",
            "--vout=dummy",
            "--aout=adummy",
        ]);
        command.arg(format!("--rc-unix={}", path.display())).args(["--play-and-exit", url]);
        // SAFETY: no preconditions.
        if unsafe { libc::geteuid() } == 0 {
            command.uid(65534).gid(65534);
        }
        let process = cinema.spawn("vlc", command);
        let socket = socket_of(&path);
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Vlc { process, socket }
    }

    /// The number that it answers with, if it does.
    fn tell(&mut self, command: &str) -> Option<u32> {
        self.socket.write_all(format!("{command}\n").as_bytes()).ok()?;
        let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
        while let Ok(count @ 1..) = self.socket.read(&mut buffer) {
            said.extend(&buffer[..count]);
        }
        String::from_utf8_lossy(&said).lines().filter_map(|line| line.trim().parse().ok()).next_back()
    }

    fn wait_for(&mut self, from: u32) {
        let mut at = None;
        let comes = wait_until(patience(15.0), || {
            at = self.tell("get_time");
            at.is_some_and(|at| at >= from)
        });
        assert!(comes, "{from}: {at:?}");
    }
}

#[test]
fn vlc_plays_to_the_end_and_goes_on_after_a_pause() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("vlc");
    let mut vlc = Vlc::play(&cinema, &cinema.url("film.mp4"));
    vlc.wait_for(1);
    assert_eq!(vlc.tell("get_length"), Some(SECONDS));
    vlc.tell("pause");
    let at = vlc.tell("get_time").expect("it is somewhere");
    std::thread::sleep(Duration::from_secs(3));
    assert!(vlc.tell("get_time").is_some_and(|now| now <= at + 1));
    vlc.tell("pause");
    vlc.wait_for(at + 2);
    vlc.process.wait_success(end());
}

/// Pauses, goes on and seeks, and checks the times of what comes, in milliseconds.
const PAUSES_AND_SEEKS: &str = r#"
client = RTMP(sys.argv[1], timeout=20)
client.connect()
stream = client.create_stream()
data = b""

def read(count):
    """More of the film; false at its end."""
    global data
    end = len(data) + count
    while len(data) < end:
        got = stream.read(4096)
        if not got:
            return False
        data += got
    return True

def frames():
    """Kind and time of what has come as a whole, without headers."""
    found, at = [], 13
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1:at + 4], "big")
        if at + 11 + size > len(data):
            break
        time = int.from_bytes(data[at + 4:at + 7], "big") | data[at + 7] << 24
        if data[at] != 18 and data[at + 12] != 0:
            found.append((data[at], time))
        at += size + 15
    return found

read(60000)
stream.pause()
time.sleep(1)
stream.unpause()
read(60000)
whole = frames()
pictures = [time for kind, time in whole if kind == 9]
# It goes on from where it is at, if that is where the server is; else from the key frame before, whose times are true.
again = next((at for at in range(1, len(pictures)) if pictures[at] <= pictures[at - 1]), len(pictures))
assert pictures[:again] == list(range(0, 40 * again, 40)), pictures
rest = pictures[again:]
assert not rest or rest == list(range(rest[0], rest[0] + 40 * len(rest), 40)) and rest[0] % 2000 == 0, pictures
stream.seek(6000)
while read(4096):
    pass
behind = frames()[len(whole):]
pictures = [time for kind, time in behind if kind == 9]
first = pictures.index(6000)
assert pictures[first:] == list(range(6000, 8000, 40)), pictures
print("good")
"#;

#[test]
fn python_librtmp_pauses_goes_on_without_a_gap_and_seeks() {
    if emulated() {
        return;
    }
    let cinema = Cinema::new("python");
    let mut process = cinema.spawn("python", python(PAUSES_AND_SEEKS, &[&cinema.url("film.mp4")]));
    process.wait(end());
    assert_eq!(process.log(), "good\n");
}
