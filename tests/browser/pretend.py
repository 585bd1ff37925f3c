"""The player against a server that says what a test wants: refusals, codecs that no browser has, silence."""

import asyncio
import json
import math
import subprocess
import time

from stage import STOOD_MS, Stage, check, unfolded, until

HTML_NAME = 'live/"><script>document.title="owned"</script>'
# How long the stream has run, in seconds: times do not begin at 0 for who comes late.
AGE = 3600


class Clip:
    """Fragments of a short clip, one a frame, and the initialisation before them."""

    made = {}

    def __init__(self, codecs, video=("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p"), size="320x180"):
        """Without a codec of sound it has none."""
        self.codecs = codecs
        key = (codecs, size)
        if key not in Clip.made:
            command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", f"testsrc=size={size}:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000",
                       "-t", "20", *video, *(["-c:a", "aac"] if "," in codecs else ["-an"]), "-f", "mp4", "-movflags", "frag_every_frame+empty_moov+default_base_moof", "-"]
            Clip.made[key] = split(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        self.init, self.fragments = Clip.made[key]

    async def begin(self, socket):
        await socket.say(type="init", codecs=self.codecs)
        await socket.send(self.init)

    async def play(self, socket, seconds=20, at_once=0):
        """Sends it in its own time but for the first seconds of it, which come at once, and the time each second."""
        begin, told = time.monotonic() - at_once, 0
        for when, fragment in self.fragments:
            wait = begin + when - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if when > seconds:
                return
            if when >= told:
                told = when + 1
                await socket.say(type="now", server_ms=0, stream_ms=int((AGE + time.monotonic() - begin) * 1000), viewers=3)
            await socket.send(fragment)


def split(data):
    """The initialisation segment, and the fragments in the order of their times in seconds."""
    at, init, fragments, scales = 0, b"", [], []
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        box = data[at : at + size]
        at += size
        if kind in (b"ftyp", b"moov"):
            init += box
            place = -1
            while (place := box.find(b"mdhd", place + 1)) >= 0:
                scales.append(int.from_bytes(box[place + 16 : place + 20], "big"))
        elif kind == b"moof":
            track = int.from_bytes(box[box.find(b"tfhd") + 8 :][:4], "big")
            place = box.find(b"tfdt")
            # ffmpeg begins at 0, and writes 64 bits.
            ticks = int.from_bytes(box[place + 8 :][:8], "big")
            scale = scales[track - 1]
            box = box[: place + 8] + (ticks + AGE * scale).to_bytes(8, "big") + box[place + 16 :]
            fragments.append([ticks / scale, box])
        elif kind == b"mdat":
            fragments[-1][1] += box
    return init, sorted((when, bytes_) for when, bytes_ in fragments)


H264 = "avc1.42c00d,mp4a.40.2"


async def camera(socket):
    """As an ordinary stream comes."""
    clip = Clip(H264)
    await clip.begin(socket)
    await clip.play(socket)
    await asyncio.sleep(60)


async def refused_viewers_are_told_and_may_try_again(browser):
    tries = []

    async def pretend(socket):
        tries.append(socket.path)
        await socket.say(type="error", code=4403, reason="no")
        socket.close(4403)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1"):
        report = await stage.report(lambda r: r["state"] == "ended")
        check("may not watch" in report["text"] and "Try again" in report["text"], report["text"])
        await asyncio.sleep(2)
        check(len(tries) == 1, f"it tried by itself: {tries}")


async def a_track_that_the_browser_cannot_play_is_left_out_and_said(browser):
    tries = []

    async def pretend(socket):
        tries.append(socket.path)
        codecs = "avc1.42c00d" if "audio=0" in socket.path else "avc1.42c00d,mp4a.a9"
        await socket.say(type="init", codecs=codecs)
        clip = Clip("avc1.42c00d")
        await socket.send(clip.init)
        await clip.play(socket)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1?key=a%26b"):
        report = await stage.report(lambda r: "picture only" in r["text"], 40)
        check("AAC sound" in report["text"], report["text"])
        # WebKitGTK says that it plays it, and then does not.
        check(len(tries) == (4 if browser.name == "webkit" else 2) and tries[-1] == "/live/cam1.mp4?key=a%26b&audio=0", tries)
        await stage.report(lambda r: r["time"] and r["time"] > AGE + 1)


async def media_that_the_browser_gives_up_is_tried_again_later(browser):
    tries = []

    async def pretend(socket):
        tries.append(time.monotonic())
        clip = Clip(H264)
        await socket.say(type="init", codecs=clip.codecs)
        await socket.send(clip.init + b"\0\0\0\x02moof" * 1000)
        await clip.play(socket)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1"):
        # Firefox says nothing, and the player notices that nothing moves.
        await stage.report(lambda r: r["stats"]["connections"] >= (5 if browser.name == "chromium" else 2))
        # A third of a second and two thirds, before it is tried without sound.
        check(tries[-1] - tries[0] > 0.9, tries)


async def a_codec_that_no_browser_plays_is_a_sentence(browser):
    async def pretend(socket):
        await socket.say(type="init", codecs="dvh1.05.06")
        await socket.reader.read()

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1"):
        report = await stage.report(lambda r: r["state"] == "ended" or r["stats"]["way"] == "HLS")
        check("cannot play" in report["text"] or report["stats"]["way"] == "HLS", report["text"])


async def other_codecs_in_mid_stream_go_on_in_another_source(browser):
    second = Clip("vp09.00.10.08,mp4a.40.2", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30"), "426x240")

    async def pretend(socket):
        first = Clip(H264)
        await first.begin(socket)
        await first.play(socket, 3)
        await second.begin(socket)
        await second.play(socket)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1"):
        report = await stage.report(lambda r: r["size"] == "426x240" and r["time"] > AGE + 1 and not r["paused"])
        check(report["stats"]["mediaSources"] == 2 and report["stats"]["connections"] == 1, report)


async def another_size_in_mid_stream_goes_on_in_the_same_source(browser):
    async def pretend(socket):
        first, second = Clip(H264), Clip("avc1.42c015,mp4a.40.2", size="640x360")
        await first.begin(socket)
        await first.play(socket, 3)
        await second.begin(socket)
        begin = time.monotonic() - 4
        # From its key frame at 4 s: a hole of a second, which the player jumps.
        for when, fragment in second.fragments:
            if when >= 4:
                await asyncio.sleep(max(0, begin + when - time.monotonic()))
                await socket.send(fragment)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1"):
        report = await stage.report(lambda r: r["size"] == "640x360" and r["time"] > AGE + 5)
        check(report["stats"]["mediaSources"] == 1 and report["stats"]["connections"] == 1, report)


async def a_silent_connection_is_given_up_and_made_again(browser):
    tries = []

    async def pretend(socket):
        tries.append(time.monotonic())
        clip = Clip(H264)
        await clip.begin(socket)
        await clip.play(socket, 2 if len(tries) == 1 else 20)
        await asyncio.sleep(60)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1"):
        report = await stage.report(lambda r: r["stats"]["connections"] == 2 and r["state"] == "live" and r["time"] > AGE + 2 and r["behind"] < 1.5)
        check(8 < tries[1] - tries[0] < 12, tries)


async def what_joining_takes_is_no_pause_of_the_camera(browser):
    async def pretend(socket):
        clip = Clip(H264)
        await clip.begin(socket)
        begin = time.monotonic() - 2
        await socket.say(type="now", server_ms=0, stream_ms=(AGE + 2) * 1000, viewers=1)
        for when, fragment in clip.fragments:
            # What there was before comes at once. A browser that is busy with it takes what comes next half a second later; an encoder
            # that pauses as long later on is another thing.
            due = math.ceil(when * 2) / 2 if 2 <= when < 2.5 or 8 <= when < 8.5 else when
            await asyncio.sleep(max(0, begin + due - time.monotonic()))
            await socket.send(fragment)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1"):
        report = await stage.report(lambda r: r["time"] and r["time"] > AGE + 5)
        # A machine that stood still is a pause.
        check(report["target"] == 0.3 or report["seen"]["late"] > STOOD_MS, report)
        report = await stage.report(lambda r: r["time"] > AGE + 9)
        check(report["target"] > 0.4, report)
        return f"target {report['target']:.2f} behind a pause of half a second"


async def ten_seconds_back_are_asked_of_the_server_where_the_page_has_not_seen_them(browser):
    if not browser.is_driven:
        return
    tries = []

    async def pretend(socket):
        tries.append(socket.path)
        clip = Clip(H264)
        await clip.begin(socket)
        await clip.play(socket)
        await asyncio.sleep(60)

    async with Stage(pretend=pretend) as stage, browser(stage.url + "/watch/live/cam1") as page:
        await stage.report(lambda r: r["time"] and r["time"] > AGE + 2)
        await page.key("j")
        report = await stage.report(lambda r: r["stats"]["connections"] == 2 and r["time"] and r["time"] > AGE + 3 and not r["paused"])
        check(tries[1].startswith("/live/cam1.mp4?back_ms=1"), tries)
        # The server had less, so there is no more to be asked for.
        await page.key("j")
        report = await stage.report(lambda r: r["time"] < AGE + 2)
        check(report["stats"]["connections"] == 2, report)
        # What is live comes by another connection.
        await page.key("l")
        report = await stage.report(lambda r: r["stats"]["connections"] == 3 and r["state"] == "live" and r["time"] and r["behind"] < 1)
        check(tries[2] == "/live/cam1.mp4", tries)


async def sound_comes_after_a_tap_and_keys_reach_everything(browser):
    if not browser.is_driven:
        return

    async with Stage(pretend=camera) as stage, browser(stage.url + "/watch/live/cam1") as page:
        report = await stage.report(lambda r: r["time"] and r["time"] > AGE + 0.5)
        check(report["muted"] and "Tap for sound" in report["text"], report)
        await page.tap(".sound")
        report = await stage.report(lambda r: not r["muted"])
        check("Tap for sound" not in report["text"], report["text"])
        await page.key("i")
        report = await stage.report(lambda r: "latency" in r["text"])
        check("viewers: 3" in report["text"], report["text"])
        # A remote has arrows and OK alone.
        names = []
        await page.key("ArrowDown")
        for _ in range(7):
            names.append(await page.run("document.activeElement.getAttribute('aria-label')"))
            await page.key("ArrowRight")
        check(names[:5] == ["Pause", "Back 10 seconds", "Go to live", "Mute", "Figures"], names)
        check(names[-1] == "Full screen", names)
        await page.run("document.activeElement.blur()")
        await page.key("ArrowDown")
        await page.key("Enter")
        await stage.report(lambda r: r["paused"])
        await page.key(" ")
        await stage.report(lambda r: not r["paused"])


# As it is where a phone saves its battery.
NOTHING_BY_ITSELF = """(function () {
  var play = HTMLMediaElement.prototype.play, set = Element.prototype.setAttribute;
  HTMLMediaElement.prototype.play = function () { return window.mayPlay ? play.call(this) : Promise.reject(new DOMException('no', 'NotAllowedError')); };
  Element.prototype.setAttribute = function (name, value) { if (name !== 'autoplay') set.call(this, name, value); };
})();"""


async def where_nothing_plays_by_itself_a_tap_begins(browser):
    if not browser.is_driven:
        return

    # It was asked for with sound, tries without, and then asks.
    async with Stage(pretend=camera, before=NOTHING_BY_ITSELF) as stage, browser(stage.url + "/watch/live/cam1?muted=0") as page:
        report = await stage.report(lambda r: "Tap to play" in r["text"])
        check(report["paused"] and report["muted"], report)
        await page.run("window.mayPlay = true")
        await page.tap(".sound")
        report = await stage.report(lambda r: not r["paused"] and r["time"] > AGE + 0.5)
        check("Tap" not in report["text"] and not report["muted"], report)


async def it_is_managed_media_source_where_there_is_one(browser):
    async def pretend(socket):
        clip = Clip(H264)
        await clip.begin(socket)
        await clip.play(socket)

    # As an iPhone has it, and as it has nothing else.
    before = "window.ManagedMediaSource = window.ManagedMediaSource || window.MediaSource; window.MediaSource = undefined;"
    async with Stage(pretend=pretend, before=before) as stage, browser(stage.url + "/watch/live/cam1"):
        report = await stage.report(lambda r: r["time"] and r["time"] > AGE + 1 and not r["paused"])
        check(report["stats"]["way"] == "WebSocket, ManagedMediaSource" and report["local"] is not False, report)


async def picture_in_picture_is_a_key_where_there_is_one(browser):
    if not browser.is_driven:
        return

    async with Stage(pretend=camera) as stage, browser(stage.url + "/watch/live/cam1") as page:
        await stage.report(lambda r: r["time"] and r["time"] > AGE + 0.5)
        shown = await page.run("!document.querySelector('[aria-label=\"Picture in picture\"]').hidden")
        if not await page.run("!!document.pictureInPictureEnabled"):
            check(not shown, "a button for what is not there")
            return "there is none"
        check(shown, "no button")
        await page.key("p")
        await until(page, "document.pictureInPictureElement === document.querySelector('video')", "it is not in a picture of its own")
        await page.key("p")
        await until(page, "!document.pictureInPictureElement", "it does not come back")


# What has no name for who hears the page.
NAMELESS = """Array.prototype.filter.call(document.querySelectorAll('button, a, input, video, canvas, img'), function (part) {
  return !(part.getAttribute('aria-label') || part.textContent.trim() || part.alt || part.alt === '' || part.getAttribute('aria-hidden') === 'true');
}).map(function (part) { return part.outerHTML; })"""
# What the arrows do not reach, from the first.
UNREACHED = """(function () {
  var all = Array.prototype.filter.call(document.querySelectorAll('a[href], button, input, summary'), function (part) {
    return part.tabIndex >= 0 && part.getBoundingClientRect().width > 0 && part.checkVisibility();
  }), reached = [all[0]], at, keys = ['ArrowDown', 'ArrowRight', 'ArrowUp', 'ArrowLeft'];
  for (at = 0; at < reached.length; at++) keys.forEach(function (key) {
    reached[at].focus();
    if (rillDom.moveFocus(key) && reached.indexOf(document.activeElement) < 0) reached.push(document.activeElement);
  });
  return all.filter(function (part) { return reached.indexOf(part) < 0; }).map(function (part) { return part.outerHTML; });
})()"""


async def a_remote_and_who_hears_the_page_reach_everything(browser):
    if not browser.is_driven:
        return
    films = {"recordings": [{"file": f"live/cam1/{at}.mp4", "bytes": 2_500_000, "state": "complete", "seconds": 65} for at in range(3)], "films": []}
    said = [state()]
    answers = {
        "/api/events": ("text/event-stream", lambda: b"retry: 300\ndata: " + json.dumps(said[0]).encode() + b"\n\n"),
        "/api/recordings": ("application/json", json.dumps(films).encode()),
        "/api/session": ("application/json", b'{"admin":true,"key":true,"public":true}'),
        "/api/clients": ("application/json", json.dumps({"clients": [client(), client(id="c5.1")]}).encode()),
        "/api/qr.svg": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'),
    }
    async with Stage(answers=answers) as stage, browser(stage.url + "/") as page:
        for streams in ([], [row(), row(path="live/drone"), row(path="live/hall")]):
            said[0] = state(*streams)
            await stage.report(lambda r: "Recordings" in r["text"] and ("live/hall" in r["text"]) == bool(streams))
            for script in (NAMELESS, UNREACHED, "Array.prototype.forEach.call(document.querySelectorAll('summary'), function (part) { part.click(); })", NAMELESS, UNREACHED):
                left = await page.run(script)
                check(not left, left)
        # The administrator's, too: log-out, of three streams, of as many files, of two clients, and of the configuration.
        await until(page, "document.querySelectorAll('.change button, button.change').length === 9", "his buttons are not there")
        # OK goes to the stream.
        await page.run("document.activeElement.blur()")
        await page.key("ArrowDown")
        await page.key("Enter")
        await until(page, "location.pathname === '/watch/live/cam1'", "OK does not open the stream")
        await until(page, "!!window.rillPlayer", "no player")
        left = await page.run(NAMELESS)
        check(not left, left)


async def the_page_speaks_the_browser_s_language(browser):
    answers = {
        "/api/events": ("text/event-stream", lambda: b"retry: 300\ndata: " + json.dumps(state(row())).encode() + b"\n\n"),
        "/api/recordings": ("application/json", b'{"recordings":[],"films":[]}'),
    }
    for language, words, code in (("de-AT", "Ansehen", "de"), ("fr-CA", "Watch", "en")):
        before = f"Object.defineProperty(navigator, 'language', {{ get: function () {{ return '{language}'; }} }});"
        async with Stage(answers=answers, before=before) as stage, browser(stage.url + "/"):
            report = await stage.report(lambda r: words in r["text"])
            check(report["language"] == code, report["language"])


async def a_page_that_was_asleep_catches_up(browser):
    if not browser.is_driven:
        return
    said, asked = [state(row())], []

    def events():
        asked.append(time.monotonic())
        return b"retry: 300\ndata: " + json.dumps(said[0]).encode() + b"\n\n"

    answers = {"/api/events": ("text/event-stream", events), "/api/recordings": ("application/json", b'{"recordings":[],"films":[]}')}
    hide = "Object.defineProperty(document, 'hidden', {{ configurable: true, value: {} }}), document.dispatchEvent(new Event('visibilitychange'))"
    async with Stage(answers=answers) as stage, browser(stage.url + "/") as page:
        await stage.report(lambda r: "live/cam1" in r["text"])
        await page.run(hide.format("true"))
        await asyncio.sleep(0.5)
        before = len(asked)
        said[0] = state(row(path="live/drone"))
        await asyncio.sleep(2)
        check(len(asked) == before, "it asks while nobody sees it")
        await page.run(hide.format("false"))
        await stage.report(lambda r: "live/drone" in r["text"] and "live/cam1" not in r["text"], 5)


def row(**more):
    return {"path": "live/cam1", "state": "live", "seconds": 754, "bitrate_bps": 4210000, "video": "1920x1080 H.264 High 4.2", "audio": "AAC 48 kHz stereo", "fps": 30,
            "key_frame_ms": 2000, "viewers": {"rtmp": 1, "ws": 4, "hls": 0, "flv": 1}, "worst_lag_ms": 140, "skips": 0, "recording": False, **more}


def state(*streams):
    return {"version": "0.1.0", "address": "192.168.1.20", "rtmp_port": 1935, "streams": list(streams)}


async def the_page_says_what_to_type_and_then_shows_the_stream_by_itself(browser):
    said = [state()]
    answers = {
        "/api/events": ("text/event-stream", lambda: b"retry: 300\ndata: " + json.dumps(said[0]).encode() + b"\n\n"),
        "/api/recordings": ("application/json", b'{"recordings":[],"films":[]}'),
    }
    async with Stage(answers=answers) as stage, browser(stage.url + "/") as page:
        report = await stage.report(lambda r: "rtmp" in r["text"] or "Nothing is live" in r["text"])
        for part in ("OBS Studio", "Larix", "ffmpeg", "Stream key"):
            check(part in report["text"], report["text"])
        if browser.is_driven:
            check(await page.run("document.querySelector('input').value") == "rtmp://192.168.1.20/live", "the server's address")
            await page.tap(".copy button")
            report = await stage.report(lambda r: "Copied" in r["text"])
        said[0] = state(row(path=HTML_NAME, worst_lag_ms=1800, skips=3, recording=True), row(path="live/drone", state="away"))
        report = await stage.report(lambda r: "4.2 Mbit/s" in r["text"])
        for part in (HTML_NAME, "6 viewers (RTMP 1, browser 4, FLV 1)", "1920x1080 H.264 High 4.2", "AAC 48 kHz stereo", "30 fps", "key frame every 2.0 s", "since 12 min",
                     "slowest 1.8 s behind", "3 skips", "● RECORDING"):
            check(part.lower() in report["text"].lower(), (part, report["text"]))
        check(not report["seen"]["errors"], report["seen"]["errors"])
        if browser.is_driven:
            check(await page.run("document.title") == "● 2 – Rill", await page.run("document.title"))


def client(**more):
    return {"id": "c4.0", "address": "192.168.1.31:50123", "app": "live", "instance": "_definst_", "agent": HTML_NAME, "speaks": "ws", "does": "plays", "stream": HTML_NAME,
            "stream_id": "s0", "seconds": 65, "bytes_in": 900, "bytes_out": 2_500_000, "lag_ms": 140, "skips": 0, "queue_bytes": 0, "round_trip_us": None, **more}


async def who_is_there_is_shown_while_it_is_unfolded(browser):
    if not browser.is_driven:
        return
    publisher = client(id="c1.0", address="[fe80::1]:1935", agent="OBS", speaks="rtmp", does="publishes", bytes_in=7_000_000, lag_ms=None)
    said, asked = [[publisher, client(), client(id="c5.1", lag_ms=1800, skips=3, queue_bytes=40_000)]], []

    def clients():
        asked.append(time.monotonic())
        return json.dumps({"clients": said[0]}).encode()

    answers = {
        "/api/events": ("text/event-stream", lambda: b"retry: 300\ndata: " + json.dumps(state(row())).encode() + b"\n\n"),
        "/api/recordings": ("application/json", b'{"recordings":[],"films":[]}'),
        "/api/clients": ("application/json", clients),
    }
    async with Stage(answers=answers) as stage, browser(stage.url + "/") as page:
        await stage.report(lambda r: "Viewers and clients" in r["text"])
        check(not asked, "it is asked for though nobody looks")
        await unfolded(page, "Viewers and clients")
        report = await stage.report(lambda r: "192.168.1.31" in r["text"])
        for part in (HTML_NAME, "fe80::1", "OBS", "publishes · RTMP", "watches · WS", "7.0 MB", "2.5 MB", "1.8 s", "140 ms", "40 kB"):
            check(part in report["text"], (part, report["text"]))
        slow = "Array.prototype.map.call(document.querySelectorAll('#tables tr.slow'), function (row) { return row.getAttribute('data-id'); }).join()"
        check(await page.run(slow) == "c5.1", await page.run(slow))
        heads = await page.run("document.querySelectorAll('#tables details[open] th[scope=col]').length")
        cells = await page.run("document.querySelector('#tables tr[data-id]').children.length")
        check(heads == cells == 9, (heads, cells))
        # A row stays itself when the one before it goes.
        await page.run("window.kept = document.querySelector('[data-id=\\'c4.0\\']')")
        said[0] = [client(skips=7), client(id="c9.0")]
        await stage.report(lambda r: "OBS" not in r["text"])
        check(await page.run("window.kept === document.querySelector('#tables tbody').firstChild && window.kept.className === 'slow'"), "the row is another")
        said[0] = []
        await stage.report(lambda r: "Nobody is there." in r["text"])
        await unfolded(page, "Viewers and clients")
        await asyncio.sleep(0.3)
        before = len(asked)
        await asyncio.sleep(2.5)
        check(len(asked) == before, "it is asked for though it is folded away")
        check(not report["seen"]["errors"], report["seen"]["errors"])


async def limits_say_how_full_each_is(browser):
    if not browser.is_driven:
        return

    def limit(name, used, most, key="limits.x"):
        return {"name": name, "key": key, "used": used, "peak": used, "limit": most}

    said = {"limits": [limit("streams", 16, 16, "limits.streams"), limit("connections", 30, 600, "limits.connections"), limit("connections_per_address", None, None),
                       limit("memory_bytes", 60_000_000, 67_108_864), limit("control_clients", 0, 4, None), limit("of_the_future", 1, 2)], "shapes": []}
    answers = {
        "/api/events": ("text/event-stream", lambda: b"retry: 300\ndata: " + json.dumps(state()).encode() + b"\n\n"),
        "/api/recordings": ("application/json", b'{"recordings":[],"films":[]}'),
        "/api/limits": ("application/json", json.dumps(said).encode()),
    }
    async with Stage(answers=answers) as stage, browser(stage.url + "/") as page:
        await stage.report(lambda r: "Limits" in r["text"])
        await unfolded(page, "Limits")
        report = await stage.report(lambda r: "limits.streams" in r["text"])
        for part in ("Streams", "Connections of one address", "none", "fixed", "60.0 MB", "67.1 MB", "of_the_future"):
            check(part in report["text"], (part, report["text"]))
        full = await page.run("document.querySelector('#tables tr.slow').getAttribute('data-id') + document.querySelectorAll('#tables tr.slow').length")
        check(full == "streams1", full)
        meters = await page.run("Array.prototype.map.call(document.querySelectorAll('#tables meter'), function (m) { return m.hidden ? '-' : Math.round(100 * m.value / m.max) + (m.value > m.high ? '!' : ''); }).join()")
        check(meters == "100!,5,-,89!,0,50", meters)
        named = await page.run("Array.prototype.every.call(document.querySelectorAll('#tables meter'), function (m) { return m.getAttribute('aria-label'); })")
        check(named, "a meter without a name")
        check(not report["seen"]["errors"], report["seen"]["errors"])


async def recordings_and_films_are_played_on_the_page_and_can_be_had(browser):
    clip = Clip(H264)
    film = clip.init + b"".join(bytes_ for _, bytes_ in clip.fragments[:300])
    said = {"recordings": [{"file": "live/cam 1/0001.mp4", "bytes": 2_500_000, "state": "recording", "seconds": 65}, {"file": f"live/{HTML_NAME}/2.mp4", "bytes": 9, "state": "complete", "seconds": None}],
            "films": [{"file": "vod/a.mp4", "bytes": len(film), "state": "complete", "seconds": 20}]}
    answers = {
        "/api/events": ("text/event-stream", lambda: b"retry: 300\ndata: " + json.dumps(state()).encode() + b"\n\n"),
        "/api/recordings": ("application/json", json.dumps(said).encode()),
        "/vod-files/vod/a.mp4": ("video/mp4", film),
    }
    async with Stage(answers=answers) as stage, browser(stage.url + "/?key=a") as page:
        report = await stage.report(lambda r: "Films" in r["text"])
        for part in ("Recordings", "live/cam 1/0001.mp4", HTML_NAME, "1 min · 2.5 MB", "● recording"):
            check(part in report["text"], report["text"])
        check(not report["seen"]["errors"], report["seen"]["errors"])
        if not browser.is_driven:
            return
        check(await page.run("document.querySelector('#recorded a[download]').getAttribute('href')") == "/recordings/live/cam%201/0001.mp4?key=a", "where it is had")
        await page.run("document.querySelector('[aria-label=\"Play: vod/a.mp4\"]').click()")
        end = time.monotonic() + 15
        while not await page.run("(document.querySelector('#film video') || {}).currentTime > 0.5"):
            check(time.monotonic() < end, "the film does not play")
            await asyncio.sleep(0.2)
        await page.run("document.querySelector('#film button').click()")
        check(await page.run("document.getElementById('film').hidden"), "it is closed")


CASES = [
    refused_viewers_are_told_and_may_try_again,
    a_track_that_the_browser_cannot_play_is_left_out_and_said,
    media_that_the_browser_gives_up_is_tried_again_later,
    a_codec_that_no_browser_plays_is_a_sentence,
    other_codecs_in_mid_stream_go_on_in_another_source,
    another_size_in_mid_stream_goes_on_in_the_same_source,
    a_silent_connection_is_given_up_and_made_again,
    what_joining_takes_is_no_pause_of_the_camera,
    ten_seconds_back_are_asked_of_the_server_where_the_page_has_not_seen_them,
    sound_comes_after_a_tap_and_keys_reach_everything,
    where_nothing_plays_by_itself_a_tap_begins,
    it_is_managed_media_source_where_there_is_one,
    picture_in_picture_is_a_key_where_there_is_one,
    the_page_says_what_to_type_and_then_shows_the_stream_by_itself,
    a_remote_and_who_hears_the_page_reach_everything,
    the_page_speaks_the_browser_s_language,
    a_page_that_was_asleep_catches_up,
    recordings_and_films_are_played_on_the_page_and_can_be_had,
    who_is_there_is_shown_while_it_is_unfolded,
    limits_say_how_full_each_is,
]
