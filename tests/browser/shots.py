"""Pictures of the page and the player, of the real server and two cameras: on a phone, a desktop, a TV, and in the dark."""

import asyncio
import os
import pathlib

from live import Server
from stage import ROOT, SCREENSHOTS, Camera, Chromium, Stage, check

SHAPES = {
    "desktop": dict(width=1280, height=800),
    "phone": dict(width=390, height=844, scale=2, mobile=True),
    "tv": dict(width=1920, height=1080, agent="Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 Chrome/87.0.4280.88 Safari/537.36"),
    "dark": dict(width=1280, height=800, dark=True),
}


def scene(server, name, source):
    """A camera that shows something."""
    return Camera(["-f", "flv", f"rtmp://127.0.0.1:{server.rtmp}/live/{name}"], video=False, audio=None, codec=(),
                  command=["ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=sample_rate=48000",
                           "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-b:v", "2500k", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac"])


async def screenshots_are_made(browser):
    if browser.kind is not Chromium:
        return
    pathlib.Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
    async with Server(os.path.join(browser.directory, "server")) as server, Stage(upstream=server.http) as stage:
        async with browser(stage.url + "/") as page:
            for name, shape in SHAPES.items():
                await page.shape(**shape)
                await page.go(stage.url + "/")
                await stage.report(lambda r: "Nothing is live" in r["text"])
                await asyncio.sleep(0.5)
                await page.shot(SCREENSHOTS / f"{name}-empty.png")
            async with scene(server, "cam1", "mandelbrot=size=1280x720:rate=25:start_scale=0.4:end_scale=0.0002"), scene(server, "drone", "gradients=size=1280x720:rate=25:seed=7:speed=0.02"):
                await asyncio.sleep(6)
                for name, shape in SHAPES.items():
                    await page.shape(**shape)
                    await page.go(stage.url + "/")
                    await stage.report(lambda r: "bit/s" in r["text"])
                    await asyncio.sleep(2)
                    check(await page.run("document.querySelector('.picture canvas').width") > 0, "the card has no picture")
                    await page.shot(SCREENSHOTS / f"{name}-live.png")
                    if name == "desktop":
                        await page.shot(SCREENSHOTS / "page.jpg", "jpeg")
                    await page.run("Array.prototype.forEach.call(document.querySelectorAll('#tables summary'), function (part) { part.click(); part.scrollIntoView(); })")
                    await stage.report(lambda r: "limits.streams" in r["text"] and "publishes" in r["text"])
                    await page.shot(SCREENSHOTS / f"{name}-tables.png")
                    if name == "dark":
                        continue
                    await page.go(stage.url + "/watch/live/cam1")
                    await stage.report(lambda r: r["time"] and r["time"] > 0 and not r["paused"])
                    await asyncio.sleep(1)
                    await page.key("i")
                    await asyncio.sleep(1)
                    await page.shot(SCREENSHOTS / f"{name}-player.png")
    return f"in {SCREENSHOTS.relative_to(ROOT)}"


CASES = [screenshots_are_made]
