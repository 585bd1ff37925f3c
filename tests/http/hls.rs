//! What is live as HLS: playlists by their rules, segments as files, and ffmpeg as a player.

use std::fs;
use std::process::Command;

use crate::client::Client;
use crate::requests::server;
use crate::support::media::Media;
use crate::support::process::{Process, output_of};
use crate::support::{clip, patience};

/// The value of a tag of a playlist.
fn tag(list: &str, name: &str) -> u32 {
    list.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or_else(|| panic!("{name} in {list}"))
}

fn segments(list: &str) -> Vec<&str> {
    list.lines().filter(|line| line.ends_with(".m4s")).collect()
}

#[test]
fn a_live_stream_is_played_by_its_playlists_and_a_reload_waits_for_the_next_segment() {
    let (scratch, server) = server("http-hls");
    let source = clip::h264_aac();
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-stream_loop", "-1", "-i"]).arg(&source);
    command.args(["-t", "16", "-c", "copy", "-f", "flv", &server.url("cam1")]);
    let mut publisher = Process::spawn(&scratch, "publish", &mut command);
    server.wait_for_log(&["publish start"]);

    // It waits for the first segments.
    let mut client = Client::new(server.http);
    let index = client.get("/live/cam1.m3u8");
    assert_eq!((index.status, index.field("content-type")), (200, "application/vnd.apple.mpegurl"));
    assert_eq!(index.field("access-control-allow-origin"), "*");
    let text = index.text();
    assert!(text.contains("CODECS=\"avc1.64000b,mp4a.40.2\",RESOLUTION=192x144,FRAME-RATE=25.0"), "{text}");
    let name = text.lines().last().unwrap();
    let folder = "/live/cam1/hls/";
    let media = format!("/live/{name}");
    assert_eq!(client.get(&format!("{folder}index.m3u8")).text().lines().last(), name.strip_prefix("cam1/hls/"));

    let first = client.get(&media);
    let list = first.text();
    let (target, number) = (tag(list, "#EXT-X-TARGETDURATION:"), tag(list, "#EXT-X-MEDIA-SEQUENCE:"));
    assert!(segments(list).len() >= 3 && !list.contains("ENDLIST"), "{list}");
    let lasts: Vec<f64> =
        list.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok()).collect();
    assert!(lasts.iter().all(|lasts| *lasts >= 1.0 && lasts.round() <= f64::from(target)), "{list}");

    let next = number + segments(list).len() as u32;
    assert_eq!(client.get(&format!("{media}?_HLS_msn={}", next + 5)).status, 400);
    assert_eq!(client.get(&format!("{media}?_HLS_part=0")).status, 400);
    let later = client.get(&format!("{media}?_HLS_msn={next}"));
    let later = later.text();
    assert_eq!(tag(later, "#EXT-X-MEDIA-SEQUENCE:") + segments(later).len() as u32, next + 1, "{later}");

    // What was in the first list is there a while, and decodes.
    let init = list.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"')).unwrap();
    let mut file = client.get(&format!("{folder}{init}")).body;
    for name in segments(list) {
        let head = client.ask("HEAD", &format!("{folder}{name}"), "\r\n");
        let segment = client.get(&format!("{folder}{name}"));
        assert_eq!((segment.status, segment.field("cache-control")), (200, "max-age=60"));
        assert_eq!(segment.field("content-length"), head.field("content-length"));
        file.extend(segment.body);
    }
    let path = scratch.path("segments.mp4");
    fs::write(&path, file).unwrap();
    let pictures = Media::decoded_video(&path).video.unwrap().packets;
    let expected = lasts.iter().sum::<f64>() * 25.0;
    assert!((pictures.len() as f64 - expected).abs() < 1.5, "{} of {expected}", pictures.len());
    assert_eq!(client.get(&format!("{folder}00000000-1.m4s")).status, 404);

    let played = scratch.path("played.mp4");
    let mut player = Command::new("ffmpeg");
    player.args(["-nostdin", "-loglevel", "error", "-i", &format!("http://{}/live/cam1.m3u8", server.http)]);
    output_of(player.args(["-t", "3", "-c", "copy"]).arg(&played));
    assert!(Media::decoded_video(&played).video.unwrap().packets.len() >= 60);
    publisher.wait_success(patience(30.0));
}
