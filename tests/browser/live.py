"""The page and the player against the server, with ffmpeg as encoder: each case is a camera that a building may have."""

import asyncio
import contextlib
import os
import pathlib
import re
import subprocess
import time
import urllib.request

from publisher import Publisher
from stage import NO_MEDIA_SOURCE, ROOT, SCREENSHOTS, STOOD_MS, Camera, Chromium, Stage, check, unfolded, until

# Printed with each figure; a slow machine fails at three times of it alone.
LATENCY_MS = 700
FIRST_PICTURE_MS = 700


class Server:
    """The server, on ports of its own."""

    binary = ROOT / "target/debug/rill"

    def __init__(self, directory, *settings):
        self.directory, self.settings, self.ports = directory, settings, ("0", "0")

    async def __aenter__(self):
        os.makedirs(self.directory, exist_ok=True)
        config = os.path.join(self.directory, "rill.toml")
        pathlib.Path(config).touch()
        self.log = os.path.join(self.directory, "log")
        pathlib.Path(self.log).touch()
        # Behind what an earlier start has said.
        begin = os.path.getsize(self.log)
        words = [self.binary, "serve", "--listen", f"127.0.0.1:{self.ports[0]}", "--board", "host", "--log", "info", "--config", config]
        for setting in (f'server.http="127.0.0.1:{self.ports[1]}"', *self.settings):
            words += ["--set", setting]
        environment = {key: value for key, value in os.environ.items() if key != "RUST_LOG"}
        self.process = subprocess.Popen(words, stdout=open(self.log, "ab"), stderr=subprocess.STDOUT, env=environment)
        end, found = time.monotonic() + 20, []
        while len(found) < 2 and time.monotonic() < end and self.process.poll() is None:
            await asyncio.sleep(0.05)
            log = pathlib.Path(self.log).read_bytes()[begin:].decode()
            found = re.findall(r"rill (?:listening|http) addr=127\.0\.0\.1:(\d+)", log)
        check(len(found) == 2, pathlib.Path(self.log).read_text())
        self.ports = tuple(found)
        self.rtmp, self.http = int(found[0]), int(found[1])
        return self

    async def __aexit__(self, *_):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()

    def camera(self, name="cam1", **facts):
        return Camera(["-f", "flv", f"rtmp://127.0.0.1:{self.rtmp}/live/{name}"], **facts)


@contextlib.asynccontextmanager
async def watching(browser, path="/watch/live/cam1", *settings, before=""):
    """A server, and a browser at one of its pages, unless the case opens one: server, stage, page."""
    async with Server(os.path.join(browser.directory, f"server-{browser.count}"), *settings) as server:
        async with Stage(upstream=server.http, before=before) as stage:
            if path is None:
                yield server, stage, None
                return
            async with browser(stage.url + path) as page:
                yield server, stage, page


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else None


def figures(report, since=3000):
    """What a report says in one line, and whether its times are bearable."""
    late = [ms for when, ms in report["seen"]["latencies"] if when > since]
    first, p95 = report["stats"]["firstPictureMs"], percentile(late, 0.95)
    check(first is not None and first < 3 * FIRST_PICTURE_MS, f"first picture after {first} ms")
    check(p95 is None or p95 < 3 * LATENCY_MS, f"p95 {p95} ms: {report}")
    line = f"first picture {first} ms (bar {FIRST_PICTURE_MS})"
    if late:
        line += f", latency p50 {percentile(late, 0.5)} p95 {p95} ms (bar {LATENCY_MS}), {len(late)} pictures"
    stood = f" (the machine stood for {stood_ms(report)} ms)" if stood_ms(report) > STOOD_MS else ""
    return line + f", {report['stats']['stalls']} stalls{stood}, {report['dropped']} dropped"


def stood_ms(report):
    """How long camera or browser stood still at most, since the machine did something else."""
    return max(Camera.late_ms, report["seen"]["late"])


def smooth(report):
    """No stall where camera and browser ran, one range, nothing thrown by the page."""
    # WebKitGTK calls each unsteady step a range of its own.
    if "Chrome/" in report["agent"] or "Firefox/" in report["agent"]:
        check(report["stats"]["stalls"] == 0 or stood_ms(report) > STOOD_MS, f"{report['stats']['stalls']} stalls: {report}")
        check(report["seen"]["ranges"] == 1, f"{report['seen']['ranges']} ranges: {report}")
    check(report["stats"]["stalls"] < 4, report)
    check(not report["seen"]["errors"], report["seen"]["errors"])
    check(report["stats"]["connections"] == 1, report["stats"])


def plays(report):
    return report.get("state") == "live" and report["time"] and not report["paused"]


async def a_plain_camera_is_half_a_second_behind(browser):
    async with watching(browser, None) as (server, stage, page):
        async with server.camera():
            await asyncio.sleep(2)
            async with browser(stage.url + "/watch/live/cam1"):
                await stage.report(plays)
                report = await stage.after(12)
    smooth(report)
    return figures(report)


async def b_frames_and_48_khz_play(browser):
    async with watching(browser, None) as (server, stage, page):
        async with server.camera(bframes=2, audio=48000):
            # Until the frame rate is known: before that WebKitGTK stands still at each millisecond between them.
            await asyncio.sleep(3)
            async with browser(stage.url + "/watch/live/cam1"):
                await stage.report(plays)
                report = await stage.after(10)
    smooth(report)
    return figures(report)


async def a_camera_that_pauses_400_ms_each_3_s_plays(browser):
    async with watching(browser) as (server, stage, page):
        async with server.camera(pauses=True, gop=120, audio=None):
            await stage.report(plays)
            report = await stage.after(14)
    smooth(report)
    return figures(report)


async def sound_alone_plays(browser):
    async with watching(browser) as (server, stage, page):
        async with server.camera(video=False):
            report = await stage.report(lambda r: plays(r) and r["time"] > 4 and r["behind"] < 1.5, 30)
    smooth(report)
    return f"{report['stats']['stalls']} stalls"


async def pictures_alone_play(browser):
    async with watching(browser) as (server, stage, page):
        async with server.camera(audio=None):
            await stage.report(plays)
            report = await stage.after(8)
    smooth(report)
    return figures(report)


async def a_key_frame_each_10_s_is_enough(browser):
    async with watching(browser, None) as (server, stage, page):
        async with server.camera(gop=300):
            await asyncio.sleep(7)
            async with browser(stage.url + "/watch/live/cam1"):
                await stage.report(plays)
                report = await stage.after(8)
    smooth(report)
    return figures(report)


async def another_size_by_a_publisher_who_comes_back_plays_on(browser):
    async with watching(browser) as (server, stage, page):
        async with server.camera():
            await stage.report(lambda r: plays(r) and r["size"] == "640x360")
            await asyncio.sleep(2)
        await stage.report(lambda r: r["state"] in ("away", "waiting"), 30)
        async with server.camera(width=960, height=540, audio=48000):
            report = await stage.report(lambda r: plays(r) and r["size"] == "960x540" and r["behind"] < 2, 30)
            at = report["time"]
            await stage.report(lambda r: r["time"] > at + 2)
    check(not report["seen"]["errors"], report["seen"]["errors"])
    return f"{report['stats']['connections']} connections, {report['stats']['mediaSources']} sources"


async def a_viewer_who_slept_20_s_is_live_again(browser):
    async with watching(browser) as (server, stage, page):
        async with server.camera():
            await stage.report(plays)
            await asyncio.sleep(2)
            page.pause(True)
            await asyncio.sleep(20)
            page.pause(False)
            begin = time.monotonic()
            await stage.report(lambda r: plays(r) and r["latency"] is not None and r["latency"] < 2 and r["behind"] < 2)
            took = time.monotonic() - begin
            report = await stage.after(2)
    check(plays(report), report)
    return f"live after {took:.1f} s, {report['stats']['connections']} connections"


async def ten_seconds_back_and_live_again(browser):
    if not browser.is_driven:
        return
    async with watching(browser, None) as (server, stage, page):
        async with server.camera():
            await asyncio.sleep(14)
            async with browser(stage.url + "/watch/live/cam1") as page:
                await stage.report(plays)
                await page.key("j")
                # From the key frame before it, of which there is one each second.
                report = await stage.report(lambda r: plays(r) and r["latency"] and 9.5 < r["latency"] < 12.5)
                seen = report["seen"]["frames"]
                # It stays there.
                report = await stage.report(lambda r: r["seen"]["frames"] > seen + 80)
                check(plays(report) and 9.5 < report["latency"] < 15, report)
                shifted = report["latency"]
                await page.key("l")
                report = await stage.report(lambda r: plays(r) and r["latency"] is not None and r["latency"] < 2)
    check(report["stats"]["connections"] == 3 and not report["seen"]["errors"], report)
    return f"{shifted:.1f} s behind, then {report['latency']:.1f} s"


async def a_server_that_starts_anew_has_its_viewers_back(browser):
    async with watching(browser) as (server, stage, page):
        async with server.camera():
            await stage.report(plays)
        await server.__aexit__()
        report = await stage.report(lambda r: r["state"] == "lost", 10)
        check("connection was lost" in report["text"], report["text"])
        await server.__aenter__()
        async with server.camera():
            report = await stage.report(lambda r: plays(r) and r["behind"] < 2, 30)
    return f"{report['stats']['connections']} connections"


async def the_page_turns_into_a_card_with_a_picture(browser):
    async with watching(browser, "/") as (server, stage, page):
        report = await stage.report(lambda r: "Nothing is live" in r["text"] or "ffmpeg" in r["text"])
        check(not report["seen"]["errors"], report["seen"]["errors"])
        async with server.camera():
            report = await stage.report(lambda r: "640x360" in r["text"] and "bit/s" in r["text"], 30)
            if browser.is_driven:
                end = time.monotonic() + 15
                while await page.run("document.querySelector('.picture canvas').width") == 0:
                    check(time.monotonic() < end, "the card has no picture")
                    await asyncio.sleep(0.2)
        await stage.report(lambda r: "Nothing is live" in r["text"], 30)
    check(not report["seen"]["errors"], report["seen"]["errors"])


async def in_tls_the_page_works_and_its_player_has_a_secure_socket(browser):
    if not browser.is_driven:
        return
    root = os.path.join(browser.directory, "root")
    subprocess.run([Server.binary, "init", "--tls", root], check=True, stdout=subprocess.DEVNULL)
    pair = [f'server.tls.{what}="{root}/tls/{what}.pem"' for what in ("certificate", "key")]
    doors = [f'server.tls.{door}="127.0.0.1:0"' for door in ("listen", "http")]
    more = ["--ignore-certificate-errors"] if browser.kind is Chromium else []
    async with Server(os.path.join(browser.directory, "server"), *pair, *doors) as server:
        (port,) = re.findall(r"rill https addr=127\.0\.0\.1:(\d+)", pathlib.Path(server.log).read_text())
        async with server.camera(), browser(f"https://localhost:{port}/", *more) as page:
            await until(page, "!!document.body && /live.cam1/.test(document.body.innerText) && document.querySelector('.picture canvas').width > 0", "there is no card with a picture")
            await page.go(f"https://localhost:{port}/watch/live/cam1")
            await until(page, "!!window.rillPlayer && rillPlayer.state === 'live' && document.querySelector('video').currentTime > 2", "it does not play")
            socket = await page.run("rillPlayer.socket.url")
            check(socket.startswith(f"wss://localhost:{port}/live/cam1.mp4"), socket)
            check(await page.run("window.isSecureContext"), "it is no secure context")


async def a_card_says_where_its_stream_is_sent_and_how_that_goes(browser):
    root = os.path.join(browser.directory, f"root-{browser.count}")
    app = pathlib.Path(root, "applications/live/app.toml")
    app.parent.mkdir(parents=True)
    async with watching(browser, "/", f'server.root="{root}"') as (server, stage, page):
        (app.parent / "far.key").write_text("s3cret\n")
        far = f"127.0.0.1:{server.rtmp}"
        app.write_text(f'[[push]]\nurl = "rtmp://{far}/live/"\nkey_from = "far.key"\nnames = ["cam1"]\n'
                       '[[push]]\nurl = "rtmp://127.0.0.1:1/live/"\nnames = ["cam1"]\n')
        async with server.camera():
            refused = "→ rtmp://127.0.0.1:1/live/ · waits for its next attempt · it refuses the connection"
            report = await stage.report(lambda r: f"→ rtmp://{far}/live/ · sending" in r["text"] and refused in r["text"].replace("\u00a0", " "), 30)
            # What it is sent as is a card of its own here; no platform's key is.
            check(report["text"].count("→") == 2, report["text"])
    check(not report["seen"]["errors"], report["seen"]["errors"])


async def what_is_wrong_is_told_on_the_page_until_it_is_over(browser):
    async with watching(browser, "/") as (server, stage, page):
        await stage.report(lambda r: "Nothing is live" in r["text"] or "ffmpeg" in r["text"])
        async with server.camera(gop=300):
            report = await stage.report(lambda r: "A key frame comes only every 10 s" in r["text"], 40)
            for part in ("live/cam1: ", "Set a key frame every 2 s in the encoder (keyframe interval)."):
                check(part in report["text"], report["text"])
        report = await stage.report(lambda r: "key frame comes only" not in r["text"], 30)
    check(not report["seen"]["errors"], report["seen"]["errors"])


async def without_media_source_it_is_hls_or_a_sentence(browser):
    async with watching(browser, None, before=NO_MEDIA_SOURCE) as (server, stage, page):
        async with server.camera():
            await asyncio.sleep(4)
            async with browser(stage.url + "/watch/live/cam1"):
                report = await stage.report(lambda r: r["state"] == "ended" or (r["time"] and r["time"] > 2 and not r["paused"]), 40)
    if report["state"] == "ended":
        check(browser.name == "firefox" and "Open rtmp://127.0.0.1/live/cam1 in VLC" in report["text"], report["text"])
        return "a sentence"
    check(report["stats"]["way"] == "HLS", report["stats"])
    return "HLS of the browser"


async def the_page_waits_for_a_server_that_starts_anew(browser):
    async with watching(browser, "/") as (server, stage, page):
        await stage.report(lambda r: "Nothing is live" in r["text"])
        await server.__aexit__()
        await stage.report(lambda r: "server does not answer" in r["text"])
        await server.__aenter__()
        async with server.camera():
            report = await stage.report(lambda r: "640x360" in r["text"] and "does not answer" not in r["text"], 30)
    check(not report["seen"]["errors"], report["seen"]["errors"])


async def what_was_recorded_plays_from_anywhere_and_can_be_had(browser):
    root = os.path.join(browser.directory, "root")
    os.makedirs(os.path.join(root, "applications/live"))
    async with watching(browser, None, f'server.root="{root}"', "record.on=true", "record.join_ms=0", "live.unpublish_grace_ms=0") as (server, stage, _):
        async with server.camera():
            await asyncio.sleep(10)
        async with browser(stage.url + "/") as page:
            report = await stage.report(lambda r: "Recordings" in r["text"] and "live/cam1/" in r["text"] and "● recording" not in r["text"], 30)
            if not browser.is_driven:
                return
            film = "document.querySelector('#film video')"
            await page.run("document.querySelector('#recorded button').click()")
            await until(page, f"({film} || {{}}).currentTime > 0.5", "it does not play")
            seconds = await page.run(f"{film}.duration")
            check(6 < seconds < 14, seconds)
            await page.run(f"{film}.currentTime = {seconds} - 3")
            await until(page, f"{film}.currentTime > {seconds} - 2.5 && !{film}.seeking", "it does not play from there")
            where = await page.run("document.querySelector('#recorded a[download]').href")
            whole = await asyncio.get_running_loop().run_in_executor(None, lambda: urllib.request.urlopen(where, timeout=10).read())
    check(whole[4:8] == b"ftyp" and len(whole) > 100_000, whole[:16])
    return f"{seconds:.1f} s, {len(whole)} bytes"


# What is sent, and what the player may have to say of what this browser does not play.
CODECS = [
    ("avc1", "Opus", None), ("avc1", "fLaC", None), ("avc1", "ac-3", "cannot play AC-3 sound: picture only"), ("avc1", ".mp3", "MP3 sound cannot be sent to a browser: picture only"),
    ("hvc1", "mp4a", "cannot play HEVC video: sound only"), ("av01", "Opus", None), ("vp09", "mp4a", None),
]


async def every_codec_plays_or_is_said_to_be_left_out(browser):
    said = []
    async with watching(browser, None) as (server, stage, _):
        for video, audio, otherwise in CODECS:
            name = f"{video}-{audio.strip('.')}"
            async with Publisher(server, video, audio, name):
                async with browser(f"{stage.url}/watch/live/{name}"):
                    report = await stage.report(lambda r: plays(r) and r["time"] > 2 and name in r["text"], 30)
            left_out = "only" in report["text"]
            check(not left_out or otherwise in report["text"], report["text"])
            # MP3 is in no browser's MP4.
            check(left_out or audio != ".mp3", report["text"])
            check(("sound only" in report["text"]) == (report["size"] == "0x0"), report)
            said.append(f"{name} {report['text'].split(': ')[-1].split('.')[0] if left_out else 'plays'}")
    return ", ".join(said)


async def who_goes_to_another_page_watches_no_more(browser):
    if not browser.is_driven:
        return
    async with watching(browser) as (server, stage, page):
        async with server.camera():
            await stage.report(plays)
            await page.go(stage.url + "/")
            await stage.report(lambda r: "0 viewers" in r["text"], 10)
            # And back, as the browser has kept it.
            await page.run("history.back()")
            await stage.report(lambda r: plays(r) and r["behind"] < 2, 20)


KEY = "correct-horse-battery"


async def the_administrator_logs_in_records_deletes_disconnects_and_logs_out(browser):
    if not browser.is_driven:
        return
    root = os.path.join(browser.directory, "root")
    os.makedirs(os.path.join(root, "applications/live"))
    folder = pathlib.Path(root, "applications/live/recordings/cam1")
    button = "Array.prototype.filter.call(document.querySelectorAll('button'), function (b) { return b.checkVisibility() && b.getAttribute('aria-label') === '%s'; })[0]"

    async def press(name):
        await until(page, f"!!({button % name})", f"there is no button {name}")
        await page.run(f"({button % name}).focus()")
        await page.key("Enter")

    def files():
        return [file.name for file in folder.glob("*.mp4")] if folder.is_dir() else []

    async def log_in(key):
        await page.run(f"document.querySelector('#login input').value = '{key}'")
        await page.run("document.querySelector('#login input').focus()")
        await page.key("Enter")

    settings = (f'server.root="{root}"', f'web.admin_key="{KEY}"', "web.public=false", "live.unpublish_grace_ms=0", "record.join_ms=0")
    async with watching(browser, "/", *settings) as (server, stage, page):
        async with server.camera() as camera:
            report = await stage.report(lambda r: "Only the administrator" in r["text"])
            check("cam1" not in report["text"] and "OBS" not in report["text"], report["text"])
            await log_in("wrong-horse-battery")
            await stage.report(lambda r: "That is not the admin key." in r["text"])
            await log_in(KEY)
            report = await stage.report(lambda r: "640x360" in r["text"])
            check("Admin key" not in report["text"] and "Log out" in report["text"], report["text"])
            await press("Record: live/cam1")
            await stage.report(lambda r: "● RECORDING" in r["text"].upper() and "Stop recording" in r["text"] and files())
            await asyncio.sleep(1)
            await press("Stop recording: live/cam1")
            (file,) = files()
            await until(page, f"!!({button % f'Delete: live/cam1/{file}'})", "the recording is not listed as complete")
            await unfolded(page, "Viewers and clients")
            await until(page, "document.querySelectorAll('#tables td.change button').length > 0", "nobody is there")
            if browser.kind is Chromium:
                pathlib.Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
                await page.shape(width=1280, height=1400)
                await page.shot(SCREENSHOTS / "administrator.png")
            await press(f"Delete: live/cam1/{file}")
            await asyncio.sleep(0.3)
            check(files() == [file], "it is asked first")
            await press(f"Really delete?: live/cam1/{file}")
            await stage.report(lambda r: file not in r["text"] and not files())
            rtmp = "Array.prototype.filter.call(document.querySelectorAll('#tables tr[data-id]'), function (row) { return /publishes/.test(row.textContent); })[0]"
            await page.run(f"{rtmp}.querySelector('button').focus()")
            await page.key("Enter")
            end = time.monotonic() + 10
            while camera.process.poll() is None:
                check(time.monotonic() < end, "the camera is still there")
                await asyncio.sleep(0.1)
        await page.run("document.querySelector('#admin button').click()")
        await stage.report(lambda r: "The configuration is being read." in r["text"])
        await page.run("document.getElementById('who').focus()")
        await page.key("Enter")
        report = await stage.report(lambda r: "Only the administrator" in r["text"])
        check("publishes" not in report["text"] and not report["seen"]["errors"], report)
        check(KEY not in pathlib.Path(server.log).read_text(), "the key is in the log")


CASES = [
    a_plain_camera_is_half_a_second_behind,
    b_frames_and_48_khz_play,
    a_camera_that_pauses_400_ms_each_3_s_plays,
    sound_alone_plays,
    pictures_alone_play,
    a_key_frame_each_10_s_is_enough,
    another_size_by_a_publisher_who_comes_back_plays_on,
    a_viewer_who_slept_20_s_is_live_again,
    ten_seconds_back_and_live_again,
    a_server_that_starts_anew_has_its_viewers_back,
    the_page_turns_into_a_card_with_a_picture,
    in_tls_the_page_works_and_its_player_has_a_secure_socket,
    a_card_says_where_its_stream_is_sent_and_how_that_goes,
    what_is_wrong_is_told_on_the_page_until_it_is_over,
    the_page_waits_for_a_server_that_starts_anew,
    without_media_source_it_is_hls_or_a_sentence,
    what_was_recorded_plays_from_anywhere_and_can_be_had,
    every_codec_plays_or_is_said_to_be_left_out,
    who_goes_to_another_page_watches_no_more,
    the_administrator_logs_in_records_deletes_disconnects_and_logs_out,
]
