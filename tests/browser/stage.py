"""What the browser tests stand on: a place in front of the server that puts a probe into its pages, browsers, encoders.

A browser under test is told nothing: the probe in the page sends what it sees. Chromium is driven besides, by its debugging
pipe, for keys, taps, screenshots and sizes of windows. Needs nothing but Python.
"""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SCREENSHOTS = ROOT / "target/screenshots"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# How long browser and camera may stand still, in milliseconds: less than a player's reserve. On a machine that does something else besides
# they stand longer, and what comes of that is none of the player's faults.
STOOD_MS = 120
# The server's own, for the pages that are served without it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'"
)


def probed(page):
    """A page with the probe before its own scripts."""
    return page.replace(b"<script", b'<script src="/__test/probe.js"></script><script', 1)


async def head_of(reader):
    """The head of a request or an answer: its first line, its fields, and all of it as it came."""
    raw = await reader.readuntil(b"\r\n\r\n")
    lines = raw.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return lines[0], fields, raw


class Socket:
    """The server's side of a WebSocket."""

    def __init__(self, reader, writer, path):
        self.reader, self.writer, self.path = reader, writer, path

    async def send(self, message):
        kind, body = (0x81, message.encode()) if isinstance(message, str) else (0x82, message)
        n = len(body)
        length = bytes([n]) if n < 126 else struct.pack(">BH", 126, n) if n < 65536 else struct.pack(">BQ", 127, n)
        self.writer.write(bytes([kind]) + length + body)
        await self.writer.drain()

    async def say(self, **what):
        await self.send(json.dumps(what))

    def close(self, code):
        self.writer.write(struct.pack(">BBH", 0x88, 2, code))
        self.writer.close()


class Stage:
    """Where the browser goes. `upstream` is the server's port; without one, `pretend` answers WebSockets and `answers` paths.
    `before` is a script that makes the browser another, before the page's own."""

    def __init__(self, upstream=None, pretend=None, answers=None, before=""):
        self.upstream, self.pretend, self.answers, self.before = upstream, pretend, answers or {}, before
        self.reports, self.connections, self.files = [], set(), {}

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in list(self.connections):
            task.cancel()

    async def accept(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        try:
            await self.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self.connections.discard(task)
            with contextlib.suppress(Exception):
                writer.close()

    async def serve(self, reader, writer):
        line, fields, raw = await head_of(reader)
        path = line.split(" ")[1]
        name = path.split("?")[0]
        if name == "/__test/report":
            self.reports.append(json.loads(await reader.readexactly(int(fields["content-length"]))))
            self.answer(writer, b"", "text/plain")
        elif name == "/__test/probe.js":
            self.answer(writer, self.before.encode() + b"\n" + (HERE / "probe.js").read_bytes(), TYPES[".js"])
        elif name == "/__test/other.js":
            self.answer(writer, (HERE / "other.js").read_bytes(), TYPES[".js"])
        elif name in self.files:
            body = self.files[name]
            if name.endswith(".html"):
                body = probed(body)
            self.answer(writer, body, TYPES[pathlib.Path(name).suffix])
        elif self.upstream:
            await self.forward(reader, writer, raw, name)
        elif "upgrade" in fields and self.pretend:
            key = next(l for l in raw.decode().split("\r\n") if l.lower().startswith("sec-websocket-key")).split(": ")[1]
            accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            writer.write(
                f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            await self.pretend(Socket(reader, writer, path))
        elif name in self.answers:
            kind, body = self.answers[name]
            self.answer(writer, body() if callable(body) else body, kind)
        else:
            file = {"/": "index.html"}.get(name) or ("watch.html" if name.startswith(("/watch/", "/embed/")) else name.rsplit("/", 1)[1])
            file = ROOT / "assets" / file
            if not file.is_file():
                self.answer(writer, b"", "text/plain", "404 Not Found")
                return
            body = file.read_bytes()
            if file.suffix == ".html":
                body = probed(body)
            self.answer(writer, body, TYPES[file.suffix])

    def answer(self, writer, body, kind, status="200 OK", more=""):
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}"
            f"Content-Security-Policy: {POLICY}\r\nConnection: close\r\n\r\n".encode() + body
        )

    async def forward(self, reader, writer, raw, name):
        """The request and its answer as they are; only a page gets the probe."""
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            return
        if name == "/" or name.startswith(("/watch/", "/embed/")):
            lines = [l for l in raw.decode("latin-1").split("\r\n") if not l.lower().startswith(("connection:", "if-none-match:"))]
            up_writer.write("\r\n".join([lines[0], "Connection: close"] + lines[1:]).encode("latin-1"))
            line, fields, head = await head_of(up_reader)
            body = await up_reader.read()
            if fields.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            body = probed(body)
            kept = [l for l in head.decode("latin-1").split("\r\n") if l and not l.lower().startswith(("content-length", "content-encoding", "etag"))]
            writer.write("\r\n".join(kept + [f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body)
            up_writer.close()
            await writer.drain()
            return
        if b"upgrade: websocket" not in raw.lower():
            # One answer a connection, since what comes next may be a page.
            lines = [l for l in raw.decode("latin-1").split("\r\n") if not l.lower().startswith("connection:")]
            raw = "\r\n".join([lines[0], "Connection: close"] + lines[1:]).encode("latin-1")
        up_writer.write(raw)

        async def copy(source, to):
            try:
                while data := await source.read(65536):
                    to.write(data)
                    await to.drain()
            finally:
                to.close()

        both = [asyncio.ensure_future(copy(reader, up_writer)), asyncio.ensure_future(copy(up_reader, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            up_writer.close()

    async def report(self, want=lambda report: True, within=20):
        """The first report from now on that is as wanted."""
        begin, at = time.monotonic(), len(self.reports)
        while time.monotonic() - begin < within:
            for report in self.reports[at:]:
                at += 1
                if want(report):
                    return report
            await asyncio.sleep(0.05)
        raise AssertionError(f"not within {within} s; the last report: {json.dumps(self.reports[-1:])[:3000]}")

    async def after(self, seconds):
        """The first report after so long."""
        await asyncio.sleep(seconds)
        return await self.report()


# A browser that has HLS of its own, or nothing.
NO_MEDIA_SOURCE = "window.MediaSource = window.ManagedMediaSource = window.WebKitMediaSource = undefined;"
# Where an element is.
MIDDLE = "(function (b) { return [b.left + b.width / 2, b.top + b.height / 2]; })(document.querySelector(%s).getBoundingClientRect())"


class Browser:
    """A browser of a profile of its own, headless."""

    # Whether keys, taps and scripts reach it.
    is_driven = True

    def __init__(self, url, directory, more=()):
        self.url, self.directory, self.more = url, directory, list(more)

    def command(self):
        raise NotImplementedError

    async def __aenter__(self):
        os.makedirs(self.directory, exist_ok=True)
        self.log = open(os.path.join(self.directory, "log"), "wb")
        # A process group, since browsers are many processes.
        self.process = subprocess.Popen(
            self.command(), stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **self.environment()}, pass_fds=self.pipes(),
        )
        return self

    @classmethod
    async def end(cls):
        """After the last case."""

    def environment(self):
        return {}

    def pipes(self):
        return ()

    def pause(self, stopped):
        os.killpg(self.process.pid, signal.SIGSTOP if stopped else signal.SIGCONT)

    async def __aexit__(self, *_):
        # It may clean up after itself first, as xvfb-run does.
        for how in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            if how == signal.SIGTERM:
                end = time.monotonic() + 2
                while self.process.poll() is None and time.monotonic() < end:
                    await asyncio.sleep(0.05)
        self.process.wait()
        self.log.close()


class Chromium(Browser):
    name = "chromium"

    def pipes(self):
        return (self.to_browser_r, self.from_browser_w)

    def command(self):
        program = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
        # The debugging pipe is the file descriptors 3 and 4.
        words = " ".join(
            f"'{word}'" for word in [program, "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
                                     "--disable-dev-shm-usage", "--mute-audio", "--lang=en", f"--user-data-dir={self.directory}", *self.more, "about:blank"]
        )
        return ["bash", "-c", f"exec {words} 3<&{self.to_browser_r} 4>&{self.from_browser_w}"]

    async def __aenter__(self):
        (self.to_browser_r, self.to_browser), (self.from_browser, self.from_browser_w) = os.pipe(), os.pipe()
        self.waiting, self.last = {}, 0
        await super().__aenter__()
        os.close(self.to_browser_r)
        os.close(self.from_browser_w)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 26)
        self.transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self.from_browser, "rb", 0))
        self.listening = asyncio.ensure_future(self.listen(reader))
        self.session = None
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        self.session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        await self.call("Page.enable")
        if self.url:
            await self.go(self.url)
        return self

    async def __aexit__(self, *_):
        await super().__aexit__()
        self.listening.cancel()
        self.transport.close()
        os.close(self.to_browser)

    async def listen(self, reader):
        while True:
            message = json.loads((await reader.readuntil(b"\0"))[:-1])
            future = self.waiting.pop(message.get("id"), None)
            if future and not future.done():
                future.set_result(message)

    async def call(self, method, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        future = self.waiting[self.last] = asyncio.get_running_loop().create_future()
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        answer = await asyncio.wait_for(future, 30)
        assert "result" in answer, answer
        return answer["result"]

    async def go(self, url):
        await self.call("Page.navigate", url=url)

    async def run(self, script):
        """The value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def key(self, key, code=None):
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Tab": 9, " ": 32}
        number = code or codes.get(key) or ord(key.upper())
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=number, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=number)

    async def tap(self, selector):
        x, y = await self.run(MIDDLE % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def shape(self, width, height, scale=1, mobile=False, dark=False, agent=None):
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile)
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.agent = getattr(self, "agent", None) or await self.run("navigator.userAgent")
        await self.call("Emulation.setUserAgentOverride", userAgent=agent or self.agent)

    async def shot(self, file, kind="png"):
        picture = await self.call("Page.captureScreenshot", format=kind, **({"quality": 70} if kind != "png" else {}))
        pathlib.Path(file).write_bytes(base64.b64decode(picture["data"]))


class Firefox(Browser):
    """One process for all cases, since it takes seconds to start; each case has a tab of its own. Driven by WebDriver BiDi."""

    name = "firefox"
    one = None

    class Process(Browser):
        """Firefox itself, and the socket by which it is driven."""

        def command(self):
            preferences = {
                "media.autoplay.default": 0, "datareporting.policy.dataSubmissionEnabled": False, "browser.shell.checkDefaultBrowser": False,
                "toolkit.telemetry.reportingpolicy.firstRun": False, "browser.aboutwelcome.enabled": False, "app.update.enabled": False,
                "media.volume_scale": "0.0",
            }
            with open(os.path.join(self.directory, "user.js"), "w") as file:
                for key, value in preferences.items():
                    file.write(f"user_pref({json.dumps(key)}, {json.dumps(value)});\n")
            program = shutil.which("firefox-esr") or "firefox"
            return [program, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", self.directory, *self.more, "about:blank"]

        def environment(self):
            return {"HOME": self.directory}

        async def __aenter__(self):
            await super().__aenter__()
            self.listening = self.writer = None
            try:
                await self.connect(time.monotonic() + 60)
            except BaseException:
                await self.__aexit__()
                raise
            return self

        async def connect(self, end):
            found = None
            while not found and time.monotonic() < end and self.process.poll() is None:
                await asyncio.sleep(0.05)
                found = re.search(rb"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)", pathlib.Path(self.log.name).read_bytes())
            check(found, "firefox does not say where it listens")
            self.waiting, self.last = {}, 0
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", int(found[1]), limit=1 << 26)
            self.writer.write(f"GET /session HTTP/1.1\r\nHost: 127.0.0.1:{int(found[1])}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cmlsbC1icm93c2VyLXRlc3Q=\r\n\r\n".encode())
            await head_of(self.reader)
            self.listening = asyncio.ensure_future(self.listen())
            # Certificates of the tests sign themselves.
            await self.call("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})

        async def __aexit__(self, *_):
            if self.listening:
                self.listening.cancel()
                self.writer.close()
            await super().__aexit__()

        async def listen(self):
            with contextlib.suppress(asyncio.IncompleteReadError):
                await self.hear()

        async def hear(self):
            while True:
                _, n = await self.reader.readexactly(2)
                n = n if n < 126 else int.from_bytes(await self.reader.readexactly(2 if n == 126 else 8), "big")
                message = json.loads(await self.reader.readexactly(n))
                future = self.waiting.pop(message.get("id"), None)
                if future and not future.done():
                    future.set_result(message)

        async def call(self, method, **parameters):
            self.last += 1
            # Long enough for a length of two bytes.
            body = json.dumps({"id": self.last, "method": method, "params": parameters}).encode().ljust(126)
            future = self.waiting[self.last] = asyncio.get_running_loop().create_future()
            # Firefox refuses a mask of zeros.
            self.writer.write(struct.pack(">BBHI", 0x81, 0xFE, len(body), 0x01010101) + bytes(byte ^ 1 for byte in body))
            answer = await asyncio.wait_for(future, 30)
            check(answer["type"] == "success", answer)
            return answer["result"]

    @classmethod
    async def end(cls):
        if cls.one:
            (process, directory), cls.one = cls.one, None
            await process.__aexit__()
            directory.cleanup()

    async def __aenter__(self):
        if not Firefox.one:
            directory = temporary()
            Firefox.one = (await Firefox.Process(None, directory.name).__aenter__(), directory)
        self.process = Firefox.one[0]
        self.tab = (await self.call("browsingContext.create", type="tab"))["context"]
        if self.url:
            await self.go(self.url)
        return self

    async def __aexit__(self, *_):
        self.pause(False)
        try:
            await self.call("browsingContext.close", context=self.tab)
        except Exception:
            # The next case begins with another.
            await Firefox.end()

    def pause(self, stopped):
        self.process.pause(stopped)

    async def call(self, method, **parameters):
        return await self.process.call(method, **parameters)

    async def go(self, url):
        await self.call("browsingContext.navigate", context=self.tab, url=url, wait="none")

    async def run(self, script):
        """The value of an expression in the page, which is of what JSON can say."""
        script = f"(async function () {{ return JSON.stringify(await ({script})); }})()"
        answer = await self.call("script.evaluate", expression=script, target={"context": self.tab}, awaitPromise=True, userActivation=True)
        check(answer["type"] == "success", answer)
        return json.loads(answer["result"].get("value", "null"))

    async def act(self, kind, *actions, **more):
        await self.call("input.performActions", context=self.tab, actions=[{"type": kind, "id": kind, "actions": list(actions), **more}])

    async def key(self, key):
        value = {"ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Enter": "\ue007", "Tab": "\ue004"}.get(key, key)
        await self.act("key", {"type": "keyDown", "value": value}, {"type": "keyUp", "value": value})

    async def tap(self, selector):
        x, y = await self.run(MIDDLE % json.dumps(selector))
        await self.act("pointer", {"type": "pointerMove", "x": int(x), "y": int(y)}, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})


class WebKit(Browser):
    name = "webkit"
    is_driven = False

    def command(self):
        browser = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))), "MiniBrowser")
        return ["xvfb-run", "-a", str(browser), "--autoplay-policy=allow", *self.more, self.url]

    def environment(self):
        return {"HOME": self.directory, "XDG_DATA_HOME": self.directory, "XDG_CACHE_HOME": self.directory,
                "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", "WEBKIT_GST_ENABLE_HLS_SUPPORT": "1", "LIBGL_ALWAYS_SOFTWARE": "1"}


BROWSERS = {browser.name: browser for browser in (Chromium, Firefox, WebKit)}


class Camera:
    """An encoder whose pictures show the time: 640x360, 30 a second, or as told. Frames are left out where `pauses` says."""

    # How late the last one's pictures came at most, in milliseconds: a machine that is busy makes cameras that pause.
    late_ms = 0

    def __init__(self, output, width=640, height=360, gop=30, video=True, audio=44100, bframes=0, pauses=False, codec=(), rate=30, command=None):
        self.size, self.rate, self.pauses, self.video = (width, height), rate, pauses, video
        sound = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={audio}"] if audio else []
        pictures = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-framerate", str(rate), "-i", "-"] if video else []
        codec = list(codec) or (["-c:v", "libx264", "-preset", "ultrafast", "-bf", str(bframes), "-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0",
                                 "-b:v", "1500k", "-pix_fmt", "yuv420p"] + (["-tune", "zerolatency"] if not bframes else ["-x264-params", "rc-lookahead=0:sync-lookahead=0:sliced-threads=0:threads=1"]))
        # A picture's time is when it came, in milliseconds: those that are left out leave a gap. Encoders with B-frames have a steady clock.
        video_out = [*(["-vf", "settb=1/1000,setpts=(RTCTIME-RTCSTART)/1000"] if not bframes else []), *codec, "-fps_mode", "passthrough", "-enc_time_base", "1/1000"] if video else []
        # Of two inputs ffmpeg reads the one that is behind. Sound begins when all is open, and its encoder keeps two frames: without silence in
        # front of it it is always behind, and pictures wait in a queue that is always full, half a second of them.
        early = ["-af", "adelay=500:all=1"] if audio and video else []
        audio_out = [*early, "-c:a", "aac", "-b:a", "96k", "-ar", str(audio)] if audio else []
        if command:
            self.command = [*command, *output]
            return
        # Sound keeps its own time without pictures.
        real = ["-re"] if audio else []
        self.command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-fflags", "nobuffer", "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0",
                        *pictures, *real, *sound, *video_out, *audio_out, "-flush_packets", "1", *output]

    async def __aenter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE if self.video else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.task = asyncio.ensure_future(self.film()) if self.video else None
        return self

    async def __aexit__(self, *_):
        if self.task:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, BrokenPipeError):
                await self.task
        self.process.kill()
        self.process.communicate()

    async def film(self):
        width, height = self.size
        loop, begin, count = asyncio.get_running_loop(), time.monotonic(), 0
        last, left_out, Camera.late_ms = begin, False, 0
        rows, block = 64 * height // 360 // 2, width // 16
        field = [bytes([level]) * (width * (height - 2 * rows)) for level in range(60, 200, 5)]
        while True:
            count += 1
            # As a sensor, it has no two pictures of one time, however late it is.
            await asyncio.sleep(max(begin + count / self.rate - time.monotonic(), 0.005))
            # 400 ms of each 3 s.
            if self.pauses and count % (3 * self.rate) < 0.4 * self.rate:
                left_out = True
                continue
            stamp = int(time.time() * 1000) & 0xFFFFFFFF
            bits = [b"\xff" * block if stamp >> (31 - at) & 1 else b"\x00" * block for at in range(32)]
            picture = b"".join(bits[:16]) * rows + b"".join(bits[16:]) * rows + field[count % len(field)]
            await loop.run_in_executor(None, self.process.stdin.write, picture)
            self.process.stdin.flush()
            # The encoder takes its time for the first ones.
            last, before = time.monotonic(), last
            if count > 2 * self.rate and not left_out:
                Camera.late_ms = max(Camera.late_ms, int((last - before - 1 / self.rate) * 1000))
            left_out = False


def temporary():
    return tempfile.TemporaryDirectory(prefix="rill-browser-", ignore_cleanup_errors=True)


async def unfolded(page, title):
    """Unfolds a table of the page, or folds it."""
    await page.run(f"Array.prototype.forEach.call(document.querySelectorAll('#tables summary'), function (part) {{ if (part.textContent === '{title}') part.click(); }})")


async def until(page, script, otherwise, within=15):
    """Waits for an expression in the page."""
    end = time.monotonic() + within
    while not await page.run(script):
        check(time.monotonic() < end, otherwise)
        await asyncio.sleep(0.2)


def check(holds, otherwise):
    """As assert, which Python leaves out when it is told to be fast."""
    if not holds:
        raise AssertionError(otherwise)
