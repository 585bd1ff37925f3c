"""A recording of what ffmpeg publishes, as any page has it: whole, from anywhere, and while it is written."""

import asyncio
import json
import os
import pathlib
import re
import time

from live import Server
from stage import Stage, check

FACTS = "(function (v) { return { time: v.currentTime, length: v.duration, wide: v.videoWidth, error: v.error && v.error.message, " \
        "ended: v.ended, frames: v.getVideoPlaybackQuality().totalVideoFrames, to: v.seekable.length && v.seekable.end(0) }; })(document.querySelector('video'))"


async def logged(server, pattern, seconds=20):
    end = time.monotonic() + seconds
    while not (found := re.search(pattern, pathlib.Path(server.log).read_text())):
        check(time.monotonic() < end, f"{pattern} is not in the log")
        await asyncio.sleep(0.1)
    return found


async def until(page, holds, seconds=20):
    """What the page's video is like as soon as this holds."""
    end = time.monotonic() + seconds
    while True:
        facts = await page.run(FACTS)
        check(not facts["error"], facts)
        if holds(facts):
            return facts
        check(time.monotonic() < end, facts)
        await asyncio.sleep(0.1)


async def a_recording_plays_while_it_is_written_and_opens_when_it_is_complete(browser):
    root = os.path.join(browser.directory, "root")
    os.makedirs(os.path.join(root, "applications/live"))
    settings = [f"server.root={json.dumps(root)}", "record.on=true", "record.join_ms=0", "record.sync_ms=250"]
    async with Server(os.path.join(browser.directory, "server"), *settings) as server, Stage(upstream=server.http) as stage:
        async with server.camera():
            file = (await logged(server, r'record start file="?(\S+?\.mp4)')).group(1)
            stage.files["/__test/recording.js"] = b""
            stage.files["/__test/recording.html"] = f"""<!doctype html><html><body><div id="player">
<video muted autoplay playsinline src="/recordings/{file}"></video></div><script src="/__test/recording.js"></script></body></html>""".encode()
            await asyncio.sleep(5)
            async with browser(f"{stage.url}/__test/recording.html") as page:
                growing = await stage.report(lambda r: (r.get("time") or 0) > 1, 40)
                check(not growing["seen"]["errors"], growing["seen"]["errors"])
        await logged(server, "record finished")
        # A page of its own, which has nothing of the file yet.
        async with browser(f"{stage.url}/__test/recording.html?complete") as page:
            report = await stage.report(lambda r: (r.get("time") or 0) > 1, 40)
            check(not report["seen"]["errors"], report["seen"]["errors"])
            if browser.name == "webkit":
                return f"{report['seen']['frames']} pictures"
            facts = await until(page, lambda facts: facts["length"])
            check(facts["length"] > 4 and facts["wide"] == 640 and facts["to"] == facts["length"], facts)
            await page.run(f"document.querySelector('video').currentTime = {facts['length'] - 1.5}")
            end = await until(page, lambda facts: facts["ended"])
            check(abs(end["time"] - facts["length"]) < 0.1, end)
    return f"{facts['length']:.1f} s, {end['frames']} pictures"


CASES = [a_recording_plays_while_it_is_written_and_opens_when_it_is_complete]
