"""Players that others have made, from npm, in the pages that they would have anywhere."""

import asyncio
import contextlib
import json
import os
import pathlib
import subprocess
import urllib.request

from files import TOOLS
from live import Server
from stage import Stage, check

SCRIPTS = {"hls.js": "hls.js/dist/hls.min.js", "mpegts.js": "mpegts.js/dist/mpegts.js", "flv.js": "flv.js/dist/flv.min.js"}


def serve(stage, player):
    """Has the stage serve the player, and a page with it."""
    stage.files[f"/__test/{player}"] = (TOOLS / "node_modules" / SCRIPTS[player]).read_bytes()
    stage.files["/__test/other.html"] = f"""<!doctype html><html><body><div id="player"><video muted autoplay playsinline></video></div>
<script src="/__test/{player}"></script><script src="/__test/other.js"></script></body></html>""".encode()


async def plays(browser, player, url, camera=None, seconds=8):
    """A camera, this player at this form of its stream: what it reports once it has played for so long."""
    async with Server(os.path.join(browser.directory, "server")) as server, Stage(upstream=server.http) as stage:
        serve(stage, player)
        async with server.camera(**(camera or {})):
            await asyncio.sleep(1)
            url = url.replace("ws:", f"ws://127.0.0.1:{stage.port}")
            async with browser(f"{stage.url}/__test/other.html?player={player}&url={url}"):
                report = await stage.report(lambda r: r["time"] and not r["paused"] and r["seen"]["frames"] > 25 * seconds, 40)
    check(not report["seen"]["errors"], report["seen"]["errors"])
    late = sorted(ms for when, ms in report["seen"]["latencies"] if when > 4000)
    return f"{report['seen']['frames']} pictures, latency p50 {late[len(late) // 2] if late else '-'} ms, errors {report['other']}"


async def hls_js_plays(browser):
    return await plays(browser, "hls.js", "/live/cam1.m3u8")


async def mpegts_js_plays_flv_by_get(browser):
    return await plays(browser, "mpegts.js", "/live/cam1.flv")


async def mpegts_js_plays_flv_by_websocket(browser):
    return await plays(browser, "mpegts.js", "ws:/live/cam1.flv")


async def flv_js_plays_flv_by_get(browser):
    return await plays(browser, "flv.js", "/live/cam1.flv")


async def hls_js_stays_when_the_publisher_starts_anew_five_times(browser):
    async with Server(os.path.join(browser.directory, "server")) as server, Stage(upstream=server.http) as stage:
        serve(stage, "hls.js")
        async with contextlib.AsyncExitStack() as opened:
            async with server.camera():
                await asyncio.sleep(1)
                await opened.enter_async_context(browser(f"{stage.url}/__test/other.html?player=hls.js&url=/live/cam1.m3u8"))
                report = await stage.report(lambda r: r["time"] and r["seen"]["frames"] > 60, 40)
            for _ in range(5):
                await asyncio.sleep(1)
                seen = report["seen"]["frames"]
                async with server.camera():
                    report = await stage.report(lambda r: r["seen"]["frames"] > seen + 60, 40)
    return f"{report['seen']['frames']} pictures, errors {report['other']}"


BOXES = """
var file = require("fs").readFileSync(process.argv[1]), parsed = require(process.argv[2]).parseBuffer(new Uint8Array(file).buffer), seen = {};
(function walk(boxes) {
  boxes.forEach(function (box) {
    seen[box.type] = (seen[box.type] || 0) + 1;
    // What does not end where it says.
    if (box._incomplete && !box._parsing) seen.incomplete = (seen.incomplete || 0) + 1;
    walk(box.boxes || []);
  });
})(parsed.boxes);
console.log(JSON.stringify({ seen: seen, first: parsed.boxes.slice(0, 4).map(function (box) { return box.type; }),
  runs: parsed.fetchAll("trun").map(function (run) { return [run.sample_count, run.data_offset, run.samples[0].sample_duration > 0]; }) }));
"""


async def codem_isoboxer_reads_every_box(browser):
    if browser.name != "chromium":
        return
    async with Server(os.path.join(browser.directory, "server")) as server, server.camera():
        def some_seconds():
            with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/live/cam1.mp4", timeout=20) as answer:
                return answer.read(500_000)

        file = pathlib.Path(browser.directory) / "live.mp4"
        await asyncio.sleep(1)
        file.write_bytes(await asyncio.get_running_loop().run_in_executor(None, some_seconds))
    said = subprocess.run(["node", "-e", BOXES, file, TOOLS / "node_modules/codem-isoboxer"], check=True, stdout=subprocess.PIPE).stdout
    found = json.loads(said)
    check(found["first"] == ["ftyp", "moov", "moof", "mdat"], found["first"])
    seen = found["seen"]
    check(seen["trak"] == 2 and seen["moof"] > 50 and seen.get("incomplete", 0) <= 1, seen)
    check({"avcC", "esds"} & set(seen) or seen["stsd"] == 2, seen)
    # One sample a fragment, whose bytes begin behind the head of its box.
    check(all(run == [1, 112, True] for run in found["runs"][:-1]), found["runs"][:5])
    return f"{seen['moof']} fragments"


CASES = [
    codem_isoboxer_reads_every_box,
    hls_js_plays,
    hls_js_stays_when_the_publisher_starts_anew_five_times,
    mpegts_js_plays_flv_by_get,
    mpegts_js_plays_flv_by_websocket,
    flv_js_plays_flv_by_get,
]
