"""Players that others have made, from npm, in the pages that they would have anywhere."""

import asyncio
import contextlib
import os

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


CASES = [
    hls_js_plays,
    hls_js_stays_when_the_publisher_starts_anew_five_times,
    mpegts_js_plays_flv_by_get,
    mpegts_js_plays_flv_by_websocket,
    flv_js_plays_flv_by_get,
]
