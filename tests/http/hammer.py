#!/usr/bin/env python3
"""hammer.py RILL: slow clients and floods against the HTTP side, beside a live stream (`make http-test`).

slowhttptest (heads, bodies, ranges and answers at a byte a while) and wrk come one after the other, and npm's ws watches. All the while
`rill bench` publishes and plays, and somebody new asks to watch once a second. The stream loses nothing, whoever is new is answered, no
connection outlives its rule, and the server allocates nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

SECONDS = int(os.environ.get("HAMMER_SECONDS", "10"))
PLAYERS, SLOW = 10, 400
WS = "8.18.3"
WATCH = """
const WebSocket = require('ws');
const client = new WebSocket(process.argv[1], {perMessageDeflate: true});
let bytes = 0, pongs = 0;
client.on('open', () => client.ping('alive?'));
client.on('pong', data => pongs += data.toString() === 'alive?');
client.on('message', data => { bytes += data.length; if (pongs && bytes > 100000) client.close(1000); });
client.on('close', code => console.log(JSON.stringify({code, pongs, bytes, extensions: client.extensions})));
client.on('error', error => { console.error(error); process.exit(1); });
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port):
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.1)


def ask(port, request, seconds=5):
    """The first line of an answer, and how long it took. It is asked from another address than the attacks."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), seconds, ("127.0.0.2", 0)) as client:
        client.settimeout(seconds)
        client.sendall(request.encode())
        answer = client.recv(100).decode("latin-1")
    return answer.split("\r\n")[0], time.monotonic() - begin


def attacks(http, rtmp, folder):
    url = f"http://127.0.0.1:{http}"
    slow = ["slowhttptest", "-c", str(SLOW), "-r", "200", "-l", str(SECONDS), "-p", "3", "-i", "3", "-x", "20"]
    yield "slow heads", slow + ["-H", "-u", url + "/"]
    yield "slow bodies", slow + ["-B", "-s", "1000", "-u", url + "/version"]
    yield "many ranges", slow + ["-R", "-u", url + "/vod-files/vod/film.mp4", "-a", "1", "-b", "3000"]
    yield "slow readers of a file", slow + ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-u", url + "/vod-files/vod/film.mp4"]
    yield "slow readers of a stream", slow + ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-u", url + "/live/bench.flv"]
    for path in ["/healthz", "/", "/api/status", "/live/bench.key.mp4", "/nothing"]:
        yield f"wrk {path}", ["wrk", "-t1", "-c50", f"-d{max(2, SECONDS // 3)}s", url + path]


def ws(rtmp_http):
    tools = os.path.join(os.path.dirname(__file__), "../../target/tools/node-ws")
    if not os.path.isdir(os.path.join(tools, "node_modules/ws")):
        npm = ["npm", "install", "--prefix", tools, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", f"ws@{WS}"]
        subprocess.run(npm, check=True)
    environment = {**os.environ, "NODE_PATH": os.path.join(os.path.abspath(tools), "node_modules")}
    for name in ["bench.flv", "bench.mp4"]:
        url = f"ws://127.0.0.1:{rtmp_http}/live/{name}"
        said = subprocess.run(["node", "-e", WATCH, url], env=environment, check=True, stdout=subprocess.PIPE, timeout=30).stdout
        found = json.loads(said)
        assert (found["code"], found["pongs"], found["extensions"]) == (1000, 1, ""), found
        print(f"npm ws {WS} watches {name}, pings and closes: {found}")


def main():
    rill = sys.argv[1]
    rtmp, http = free_port(), free_port()
    with tempfile.TemporaryDirectory() as root:
        for app in ["live", "vod/media"]:
            os.makedirs(os.path.join(root, "applications", app))
        with open(os.path.join(root, "applications/vod/media/film.mp4"), "wb") as film:
            film.write(bytes(8 << 20))
        command = [rill, "serve", "--board", "host", "--root", root, "--listen", f"127.0.0.1:{rtmp}", "--log", "info"]
        for setting in [f"server.http=127.0.0.1:{http}", "limits.connections=200"]:
            command += ["--set", setting]
        log_file = open(os.path.join(root, "log"), "w+")
        server = subprocess.Popen(command, stdout=log_file, stderr=subprocess.STDOUT)
        stream = None
        try:
            wait_for(rtmp)
            wait_for(http)
            count = len(list(attacks(http, rtmp, root)))
            seconds = 5 * (SECONDS + 3) + (count - 5) * (max(2, SECONDS // 3) + 2) + 15
            load = [rill, "bench", f"rtmp://127.0.0.1:{rtmp}/live", "--players", str(PLAYERS), "--duration", str(seconds), "--json"]
            stream = subprocess.Popen(load, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            time.sleep(3)
            ws(http)
            for name, attack in attacks(http, rtmp, root):
                run = subprocess.Popen(attack, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root)
                statuses, worst = [], 0
                while run.poll() is None:
                    status, took = ask(http, "GET /live/bench.flv HTTP/1.0\r\n\r\n")
                    statuses.append(status)
                    worst = max(worst, took)
                    time.sleep(1)
                said = run.stdout.read()
                rate = re.search(r"Requests/sec: *([0-9.]+)", said)
                # Who watches slowly watches, and has a place that another viewer cannot have.
                takes = [" 200 ", " 503 "] if name.endswith("of a stream") else [" 200 "]
                assert all(any(take in status for take in takes) for status in statuses), (name, statuses)
                print(f"{name}: {len(statuses)} who came meanwhile were answered, the last within {1000 * worst:.0f} ms"
                      + (f"; {float(rate[1]):.0f} requests a second" if rate else ""))
            said, _ = stream.communicate(timeout=seconds + 30)
            report = json.loads(said)
            # No slow connection is left: each has its rule.
            time.sleep(21)
            server.send_signal(signal.SIGUSR1)
            time.sleep(0.5)
            log_file.seek(0)
            log = log_file.read()
            status = [line for line in log.splitlines() if "rill status" in line][-1]
            print(status)
            print({key: report[key] for key in ["served", "refused", "disconnected", "lost"] if key in report} or report)
            assert server.poll() is None and "heap_allocations=0" in status, status
            assert " connections=0 " in status or "connections=0" in status, status
            text = json.dumps(report)
            for none in ["lost", "refused", "disconnected"]:
                assert re.search(rf'"{none}": ?0\b', text), (none, text)
        finally:
            for process in [stream, server]:
                if process and process.poll() is None:
                    process.terminate()
                    process.wait()
    print("the stream has lost nothing, and nothing was allocated")


main()
