#!/usr/bin/env python3
"""OBS Studio publishes to the server: by a key, as a user, and in TLS with an authority that its machine believes, or does not.

    tests/obs/run.py [--server target/debug/rill] [CASE ...]

make test-obs installs what it needs, and runs all of it. OBS runs on a screen of Xvfb with a profile of its own. It believes who stands in
/etc/ssl/certs: there lies the test's own authority, in a mount namespace, so it is for root.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# OBS draws without a graphics card, and begins late.
BEGINS_S = 90
USER, PASSWORD = "cam", "c0rrect-horse"
KEY = "s3cret-s3cret-s3cret"
# A scene with nothing in it: without one OBS makes it, and forgets what it was started for.
SCENE = {
    "name": "Test", "current_scene": "Scene", "current_program_scene": "Scene", "scene_order": [{"name": "Scene"}],
    "sources": [{"id": "scene", "versioned_id": "scene", "name": "Scene", "settings": {"id_counter": 0, "items": [], "custom_size": False}}],
}
GLOBAL = """[General]
FirstRun=true
Pre19Defaults=false
Pre21Defaults=false
Pre23Defaults=false
Pre24.1Defaults=false
InfoIncrement=99
LastVersion=486539266
EnableAutoUpdates=false
ConfirmOnExit=false
[Basic]
Profile=Test
ProfileDir=Test
SceneCollection=Test
SceneCollectionFile=Test
ConfigOnNewProfile=false
[BasicWindow]
WarnBeforeStartingStream=false
"""
PROFILE = """[General]
Name=Test
[Video]
BaseCX=320
BaseCY=180
OutputCX=320
OutputCY=180
FPSCommon=30
[Output]
Mode=Simple
Reconnect=false
[SimpleOutput]
VBitrate=300
ABitrate=96
StreamEncoder=x264
Preset=ultrafast
"""


def check(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def wait_for(file, pattern, within):
    """The first match in what a process has said."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := re.search(pattern, file.read_text(errors="replace")):
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {within} s: {pattern}\n{file.read_text(errors='replace')[-3000:]}")


@contextlib.contextmanager
def running(words, log, environment=None):
    """A process and all that it starts, until they are not needed any more."""
    with open(log, "wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                                   env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        process.wait()


def quietly(*words, **more):
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


class Stage:
    """The server with a certificate for localhost, who signed that, and a screen."""

    def __init__(self, binary, directory):
        self.binary, self.directory, self.count = binary, pathlib.Path(directory), 0
        self.log = self.directory / "rill.log"
        self.certificates()
        for app, rules in (("live", f'[keys]\nplain = "{KEY}"\n'), ("open", ""), ("users", "")):
            (self.directory / "root/applications" / app).mkdir(parents=True)
            (self.directory / "root/applications" / app / "app.toml").write_text(rules)
        quietly(binary, "--root", self.directory / "root", "user", "add", "users", USER, input=(PASSWORD + "\n").encode())

    def certificates(self):
        ca, key, request, ends = (self.directory / name for name in ("ca.pem", "ca-key.pem", "server.csr", "server.ext"))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        quietly("openssl", "req", "-x509", *curve, "-days", "2", "-subj", "/CN=The test's own authority", "-addext",
                "basicConstraints=critical,CA:TRUE", "-keyout", key, "-out", ca)
        quietly("openssl", "req", *curve, "-subj", "/CN=localhost", "-keyout", self.directory / "server-key.pem", "-out", request)
        ends.write_text("subjectAltName=DNS:localhost\n")
        quietly("openssl", "x509", "-req", "-days", "2", "-in", request, "-CA", ca, "-CAkey", key, "-CAcreateserial", "-extfile", ends,
                "-out", self.directory / "server.pem")
        (self.directory / "believed").mkdir()
        shutil.copy(ca, self.directory / "believed")

    def serve(self):
        settings = {"server.root": self.directory / "root", "server.http": "", "server.tls.listen": "127.0.0.1:0", "server.tls.http": "",
                    "server.tls.certificate": self.directory / "server.pem", "server.tls.key": self.directory / "server-key.pem"}
        words = [self.binary, "serve", "--listen", "127.0.0.1:0", "--board", "host", "--log", "info"]
        for key, value in settings.items():
            words += ["--set", f"{key}={json.dumps(str(value)) if value else '[]'}"]
        return running([str(word) for word in words], self.log)

    def port(self, what):
        return int(wait_for(self.log, rf"rill {what} addr=127\.0\.0\.1:(\d+)", 20)[1])

    def obs(self, server, key, user=None, believes=False):
        """OBS, which publishes as soon as it can, and its log."""
        self.count += 1
        home = self.directory / f"obs-{self.count}"
        config = home / ".config/obs-studio"
        (config / "basic/profiles/Test").mkdir(parents=True)
        (config / "basic/scenes").mkdir()
        (config / "global.ini").write_text(GLOBAL)
        (config / "basic/profiles/Test/basic.ini").write_text(PROFILE)
        (config / "basic/scenes/Test.json").write_text(json.dumps(SCENE))
        settings = {"server": server, "key": key, "use_auth": bool(user), "bwtest": False}
        if user:
            settings |= {"username": user[0], "password": user[1]}
        (config / "basic/profiles/Test/service.json").write_text(json.dumps({"type": "rtmp_custom", "settings": settings}))
        # What others see of this machine's authorities stays as it is.
        before = f"mount --bind '{self.directory}/believed' /etc/ssl/certs && " if believes else ""
        command = (f"{before}exec xvfb-run -a -s '-screen 0 1024x768x24' obs --multi --startstreaming --profile Test --collection Test "
                   "--disable-updater --minimize-to-tray")
        log = self.directory / f"obs-{self.count}.log"
        words = ["unshare", "--mount", "sh", "-c", command] if believes else ["sh", "-c", command]
        environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "XDG_RUNTIME_DIR": str(home), "QT_QPA_PLATFORM": "xcb",
                       "LIBGL_ALWAYS_SOFTWARE": "1"}
        return running(words, log, environment), log

    def publishes(self, server, name, **how):
        """Whether the server sees the stream for what it is, in an application of its own."""
        app = server.rsplit("/", 1)[1]
        process, log = self.obs(server, name, **how)
        with process:
            stream = name.split("?")[0]
            try:
                wait_for(self.log, rf'publish start app={app} name="{stream}"', BEGINS_S)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{log.read_text(errors='replace')[-3000:]}") from None
            wait_for(self.log, rf'stream name="{stream}" video="320x180 H\.264[^"]*".* audio="AAC', 30)
        wait_for(self.log, rf'publish stop name="{stream}"', 20)


def by_a_key_in_the_stream_key(stage):
    stage.publishes(f"rtmp://127.0.0.1:{stage.rtmp}/live", f"plain?key={KEY}")
    check(KEY not in stage.log.read_text(), "the key is in the log")


def as_a_user_with_a_password(stage):
    stage.publishes(f"rtmp://127.0.0.1:{stage.rtmp}/users", "ours", user=(USER, PASSWORD))
    wait_for(stage.log, rf"log-in app=users user={USER}", 1)


def in_tls_by_an_authority_that_its_machine_believes(stage):
    stage.publishes(f"rtmps://localhost:{stage.rtmps}/open", "secret", believes=True)


def not_in_tls_by_one_that_it_does_not_believe(stage):
    process, log = stage.obs(f"rtmps://localhost:{stage.rtmps}/open", "unbelieved")
    with process:
        wait_for(stage.log, "the client does not believe the certificate", BEGINS_S)
        wait_for(log, "Connection to .* failed", 20)
    check('name="unbelieved"' not in stage.log.read_text(), "it has published")


CASES = [
    by_a_key_in_the_stream_key,
    as_a_user_with_a_password,
    in_tls_by_an_authority_that_its_machine_believes,
    not_in_tls_by_one_that_it_does_not_believe,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", type=os.path.abspath, default=ROOT / "target/debug/rill")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="rill-obs-", ignore_cleanup_errors=True) as directory:
        stage = Stage(options.server, directory)
        with stage.serve():
            stage.rtmp, stage.rtmps = stage.port("listening"), stage.port("rtmps")
            for case in CASES:
                if options.cases and not any(part in case.__name__ for part in options.cases):
                    continue
                begin = time.monotonic()
                try:
                    case(stage)
                    said = "ok"
                except Exception as error:
                    failed += 1
                    said = f"FAILED\n{error}"
                print(f"obs: {case.__name__.replace('_', ' ')}: {said} ({time.monotonic() - begin:.1f} s)", flush=True)
    print(f"obs tests: {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
