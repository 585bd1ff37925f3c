#!/usr/bin/env python3
"""recordings.py RILL: what it costs to record four streams of 6 Mbit/s (`make bench`): the server's processor time beside that
of the same streams without it, and how late live pictures are, alone, with the recordings, and with twenty players of a film besides.

The server and the load that it bears are both RILL. The files go to a directory below target/, on this machine's disk."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

STREAMS, BITRATE, SECONDS, PLAYERS = 4, "6M", 20, 20
TICKS = os.sysconf("SC_CLK_TCK")
# What else this machine does is not what is measured; where that is not allowed, it is.
AHEAD = ["chrt", "--rr", "1"] if subprocess.run(["chrt", "--rr", "1", "true"], stderr=subprocess.DEVNULL).returncode == 0 else []


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def cpu(pid):
    """Processor seconds of all threads so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def film(path):
    picture, sound = "testsrc2=size=640x360:rate=25", "sine=frequency=440:sample_rate=44100"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", "60", "-c:v", "libx264",
         "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-b:v", "2M", "-c:a", "aac", path], check=True)


def measure(rill, root, recorded, players):
    """Processor time in percent of a core, and the 99th of a hundred latencies in milliseconds."""
    port = free_port()
    shutil.rmtree(os.path.join(root, "applications/live"), ignore_errors=True)
    os.makedirs(os.path.join(root, "applications/live"))
    sets = [f"record.on={str(recorded).lower()}", "limits.recorded_players=32", "limits.recordings=8", "server.http=[]"]
    command = [rill, "serve", "--board", "host", "--root", root, "--listen", f"127.0.0.1:{port}", "--log", "warn"]
    server = subprocess.Popen(AHEAD + command + [word for one in sets for word in ("--set", one)], stdout=subprocess.DEVNULL)
    viewers = []
    try:
        time.sleep(1)
        for _ in range(players):
            url = f"rtmp://127.0.0.1:{port}/vod/film.mp4"
            viewers.append(subprocess.Popen(["ffmpeg", "-v", "error", "-i", url, "-c", "copy", "-f", "null", "-"]))
        time.sleep(4 if players else 0)
        begin = cpu(server.pid)
        load = [rill, "bench", f"rtmp://127.0.0.1:{port}/live", "--streams", str(STREAMS), "--players", "1"]
        load += ["--bitrate", BITRATE, "--duration", str(SECONDS), "--json"]
        said = subprocess.run(AHEAD + load, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
        used = cpu(server.pid) - begin
        return used, json.loads(said)
    finally:
        for viewer in viewers:
            viewer.kill()
        server.send_signal(signal.SIGTERM)
        server.wait()


def find(report, key):
    """What stands under a key, however deep."""
    if key in report:
        return report[key]
    return next(filter(None, (find(inner, key) for inner in report.values() if isinstance(inner, dict))), None)


def main():
    rill = os.path.abspath(sys.argv[1])
    root = os.path.join(os.path.dirname(os.path.dirname(rill)), "recordings")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(os.path.join(root, "applications/vod/media"))
    film(os.path.join(root, "applications/vod/media/film.mp4"))
    print(f"{STREAMS} streams of {BITRATE}bit/s with a player each, {SECONDS} s")
    try:
        for what, recorded, players in [
            ("alone", False, 0),
            ("recorded", True, 0),
            (f"recorded, {PLAYERS} players of a film", True, PLAYERS),
        ]:
            used, said = measure(rill, root, recorded, players)
            found = os.walk(os.path.join(root, "applications/live"))
            written = sum(os.path.getsize(os.path.join(path, name)) for path, _, names in found for name in names)
            latency = find(said, "latency")
            print(
                f"{what:34} {used:5.2f} s of processor time, p50 {latency['p50_us'] / 1000:6.2f} ms, "
                f"p99 {latency['p99_us'] / 1000:6.2f} ms, {written / 1e6:5.1f} MB written",
                flush=True,
            )
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
