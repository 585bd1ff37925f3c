#!/usr/bin/env python3
"""Boots the image of a board in QEMU, and does with it what its owner will.

boot-test.py BOARD [--machine NAME] [--image FILE] [--faults]

Real clients publish and play through a forwarded port; the plug is pulled while one publishes; the machine is started with
the same card and everything is done again. What the board's profile promises of the machine (how soon the server answers,
what memory it takes) is held against it. --faults also breaks what can break: the settings, the server, the card's space,
the cable. Prints a line of JSON for each start."""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time

# Nothing but target/ and dist/ is written to in the checkout.
sys.dont_write_bytecode = True
from machine import Card, Machine, clip, machines, need, run, until  # noqa: E402
from profiles import TOP, Failure, boards, machine  # noqa: E402
from profiles import profile as board_profile  # noqa: E402

# For so long a recording is made before the plug is pulled, and so much of it may be lost: record.sync_ms, a fragment, and
# what an emulated machine takes longer, in seconds.
RECORDED_S = 12
LOST_S = 7


def report(machine, what, **facts):
    facts = {"board": machine.profile["board"], "machine": machine.profile["name"], "start": what, **facts}
    print(json.dumps(facts), flush=True)


def idle_bytes(machine):
    """Resident memory of the server beyond its rings, without connections."""
    machine.says("Nobody is live")
    said = machine.shell("grep VmRSS: /proc/$(cat /run/server.pid)/status; rill limits $(cat /etc/server.options) | grep 'stream media'")
    resident = re.search(r"VmRSS:\s*(\d+) kB", said)
    rings = re.search(r"stream media .*= +([\d.]+) MiB", said)
    need(resident and rings, f"the server's memory is not known by {said!r}")
    return (int(resident.group(1)) << 10) - round(float(rings.group(1)) * (1 << 20))


# What the kernel says of a script process: of its state, and of its limits (proc(5)).
WALLS = ("NoNewPrivs:\t1", "Seccomp:\t2")
LIMITS = {"Max open files": "1", "Max processes": "0", "Max core file size": "0"}
# Takes more memory than there is, or time without end.
GREEDY = (
    "application.onConnect = function (client, what) { var all = [];"
    ' if (what == "memory") for (;;) all.push(new Array(10000).join("x")); if (what == "time") for (;;) ; return true; };'
)


def script_walls(machine):
    """A script process has given up what it is to, by what this kernel says of it, and a script that wants more is stopped."""
    machine.shell(f"mkdir -p /state/applications/walls; echo '{GREEDY}' >/state/applications/walls/main.asc")
    find = "host=$(ps | grep '[s]cript-host' | sed 's/^ *\\([0-9]*\\) .*/\\1/')"

    def let_in():
        machine.shell("rill connect rtmp://127.0.0.1/walls/quiet --stay >/run/quiet 2>&1 & sleep 4", 60)
        machine.shell("grep script /run/rill.log")
        if "Success" not in machine.shell("cat /run/quiet"):
            return None
        said = machine.shell(f"{find}; cat /proc/$host/status /proc/$host/limits /proc/$host/oom_score_adj")
        return said if "NoNewPrivs" in said else None

    # On a machine that is busy with other tests a process may be late, and is ended, also when it has let somebody in.
    said = until(let_in, 120, "no client was let in by a script that stays", pause=4)
    for wall in WALLS:
        need(wall in said, f"a script process is without {wall}: {said}")
    for limit, most in LIMITS.items():
        found = re.search(rf"^{limit} +(\S+) +(\S+)", said, re.MULTILINE)
        need(found and found.groups() == (most, most), f"{limit} of a script process is not {most}: {said}")
    need(re.search(r"^Max address space +\d+ +\d+", said, re.MULTILINE), f"a script process has no limit of memory: {said}")
    need(said.rstrip().endswith("500"), f"a script process does not go first when memory ends: {said}")
    without = machine.shell("grep 'this kernel has no' /run/rill.log")
    need("done without" not in without, f"a wall is missing: {without}")
    machine.shell("kill $(ps | grep '[w]alls/quiet' | sed 's/^ *\\([0-9]*\\) .*/\\1/')")

    def stopped(what):
        machine.shell(f"rill connect rtmp://127.0.0.1/walls/{what} --arg {what}", 60)
        return "its clients are refused" in machine.shell(f"grep 'script stopped.*instance=.{what}' /run/rill.log")

    # There may be one instance at a time, and one that was stopped keeps its place for ten seconds.
    for what in ("memory", "time"):
        until(lambda what=what: stopped(what), 90, f"a script that takes {what} was not stopped", pause=3)
    machine.shell("rm -r /state/applications/walls")


def start(profile, card, media, what, words="", pull=True):
    """One start: the server answers, a stream is played, and the plug is pulled during a publish."""
    with Machine(profile, card, f"debug-shell {words}") as machine:
        try:
            took, waited = machine.started()
            facts = {"answers_s": took, "waited_s": waited}
            if "idle_bytes" in profile:
                idle, most = idle_bytes(machine), profile.bytes("idle_bytes")
                need(idle <= most, f"the server has {idle} bytes resident beyond its rings, of {most}")
                facts["idle_mib"] = round(idle / (1 << 20), 1)
            frames = machine.publish_and_play(media)
            # The kernels of the boards are their makers'.
            if profile["board"].startswith("virt-") and not words:
                script_walls(machine)
                facts["script_walls"] = True
            machine.says("Server: rtmp://")
            machine.says("Watch  http://")
            machine.has_page()
            # Made at the first start, and kept.
            certificate = machine.certificate()
            need(card.certificate in (None, certificate), "the certificate is another than before")
            card.certificate = certificate
            report(machine, what, **facts, frames=frames)
            # What else this machine has to do is not the board's time.
            within = profile.get("answers_within_s")
            if within and took - waited > within:
                print(f"boot-test: the server answered after {took - waited:.1f} s, of {within}", file=sys.stderr)
            # A machine that is busy with other tests is no board: only what is far off is an error.
            need(not within or took - waited <= 3 * within, f"the server answered after {took - waited:.1f} s, of {within}")
            if pull:
                with machine.publish(media) as publisher:
                    machine.play(1)
                    machine.process.kill()
                    publisher.kill()
        except Failure as failure:
            raise Failure(f"{failure}\n--- console ---\n{machine.text()[-6000:]}") from None


def faults(profile, card, media):
    """Each fault ends in an appliance that works."""
    manifest = card.take("MANIFEST")
    shipped = open(card.take("rill.toml"), newline="").read()
    shell = "debug-shell"

    def fault(what, words, body, devices=()):
        with Machine(profile, card, words, devices) as machine:
            try:
                begin = time.monotonic()
                body(machine)
                report(machine, what, ok=True, seconds=round(time.monotonic() - begin, 1))
            except Failure as failure:
                raise Failure(f"{what}: {failure}\n--- console ---\n{machine.text()[-6000:]}") from None

    def broken_settings(machine):
        machine.started()
        machine.says("rill.toml:3: live.merge_ms = 5000")
        machine.publish_and_play(media)

    # As Windows saves it: with a mark at the beginning, and its line ends.
    card.write("rill.toml", "\ufeff# mine\r\n[live]\r\nmerge_ms = 5000\r\n")
    fault("broken settings", shell, broken_settings)
    error = open(card.take("RILL-ERROR.txt"), newline="").read()
    need("rill.toml:3: live.merge_ms = 5000" in error and "\r\n" in error, f"RILL-ERROR.txt says {error!r}")
    need(open(manifest).read() == open(card.take("MANIFEST")).read(), "the MANIFEST of BOOT has changed")

    def mended_settings(machine):
        machine.started()
        until(lambda: not card.has("RILL-ERROR.txt"), 30, "RILL-ERROR.txt did not go")
        machine.publish_and_play(media)

    card.write("rill.toml", "\ufeff[live]\r\nmerge_ms = 50\r\n")
    fault("mended settings", shell, mended_settings)

    def crash_at_start(machine):
        # The address is valid, and not this machine's: the server ends as soon as it starts.
        machine.says("the server starts with its defaults", 120)
        machine.started()
        machine.publish_and_play(media)

    card.write("rill.toml", '[server]\r\nlisten = ["10.99.99.99:1935"]\r\n')
    fault("server that crashes at start", shell, crash_at_start)
    error = open(card.take("RILL-ERROR.txt")).read()
    need("ended three times" in error and "10.99.99.99:1935" in error, f"RILL-ERROR.txt says {error!r}")
    card.write("rill.toml", shipped)

    def stuck_server(machine):
        machine.started()
        machine.says("Nobody is live")
        machine.shell("kill -STOP $(cat /run/server.pid)")
        machine.says("the server does not answer; it is stopped", 120)
        until(machine.answers, 60, "the server did not come back")
        machine.publish_and_play(media)
        machine.shell("kill -KILL $(cat /run/server.pid)")
        until(machine.answers, 60, "the server did not come back from a crash")

        # Another rill than the server, and what /run that was full has left of a file. How long the starts before have
        # run depends on this machine; these three end at once.
        machine.shell("rill connect rtmp://127.0.0.1/live --stay >/dev/null 2>&1 & sleep 2; kill -STOP $!")
        for before in ("", ": >/run/started; ", ""):
            machine.shell(f"{before}kill -KILL $(cat /run/server.pid)")
            until(machine.answers, 60, "the server did not come back beside a stopped rill connect")
        machine.says("! The server ended three times as soon as it had started")
        need("starts with its defaults" not in machine.text(), "settings were left out that were not changed")

        # The columns of the screen are fewer.
        with machine.publish(media, "x" * 60) as publisher:
            try:
                machine.says(f'  live "{"x" * 25}...: 0 watching, ')
            finally:
                publisher.kill()

    fault("stuck and crashed server", shell, stuck_server)
    need(not card.has("RILL-ERROR.txt"), "RILL-ERROR.txt blames settings that were not changed")

    def no_server(machine):
        machine.started()
        machine.shell("sed -i 's/-ge 300/-ge 20/' /etc/init.d/guard; mv /bin/rill /bin/gone")
        machine.shell("kill $(pidof guard); kill -KILL $(cat /run/server.pid)")
        machine.says("the server has not answered for 5 minutes; the board is restarted", 120)
        until(lambda: machine.process.poll() is not None, 60, "the board was not restarted")

    # Here 20 s instead of 5 minutes.
    fault("server that does not start any more", shell, no_server)

    def full_card(machine):
        machine.started()
        said = machine.shell("dd if=/dev/zero of=/state/fill bs=1M; df /state", 120)
        need("No space left" in said, f"STATE was not filled: {said}")
        machine.says("! STATE is full")
        machine.publish_and_play(media)

    fault("full STATE", shell, full_card)

    def full_at_start(machine):
        machine.started()
        machine.publish_and_play(media)
        machine.shell("rm /state/fill; sync", 120)

    fault("start with a full STATE", shell, full_at_start)

    def unplugged(machine):
        machine.started()
        machine.publish_and_play(media)
        machine.cable("off")
        until(lambda: not machine.answers(), 30, "the cable was not unplugged")
        time.sleep(5)
        machine.cable("on")
        until(machine.answers, 60, "the server was not reached again")
        machine.publish_and_play(media)

    fault("unplugged cable", shell, unplugged)

    def interface_comes_back(machine):
        machine.started()
        # The first interface that is a device's.
        find = "cd -P $(ls -d /sys/class/net/*/device | head -n 1); device=${PWD##*/}; cd -P driver"
        machine.shell(f"{find}; echo $device >unbind; sleep 6")
        until(lambda: not machine.answers(), 30, "the interface did not go")
        machine.shell("echo $device >bind; cd /")
        until(machine.answers, 60, "the server was not reached again")
        machine.publish_and_play(media)

    fault("interface that goes and comes back", shell, interface_comes_back)

    def no_dhcp(machine):
        # QEMU answers DHCP whenever the cable is in; so it is out before the system asks.
        machine.cable("off")
        machine.says("~ #", 120)
        until(lambda: re.search(r"inet (169\.254\.\d+\.\d+)/16", machine.shell("ip address")), 60, "no address")
        machine.says("No network: plug in a cable")
        machine.cable("on")
        until(machine.answers, 60, "the server was not reached when DHCP came")

    fault("no DHCP at first", shell, no_dhcp)

    def pulled_while_recording(medium):
        def body(machine):
            machine.started()
            if medium != "STATE":
                machine.says("recordings go to the USB stick")
            with machine.publish(media) as publisher:
                try:
                    machine.says(f"minutes on {medium}" if medium == "STATE" else f" on {medium}")
                    time.sleep(RECORDED_S)
                finally:
                    machine.process.kill()
                    publisher.kill()

        return body

    def finished(machine):
        machine.started()
        until(lambda: "record finished" in machine.shell("grep 'record finished' /run/rill.log"), 60, "nothing was finished")
        machine.publish_and_play(media)
        machine.shell("sync", 120)

    def whole(folder):
        """What was recorded before the plug was pulled is read to its end, and is as long as it has to be."""
        files = [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]
        need(len(files) >= 2, f"{folder} has {files}, of two starts")
        longest = 0
        for path in files:
            errors = run("ffmpeg", "-v", "error", "-i", path, "-f", "null", "-")
            need(not errors, f"{path}: {errors}")
            shown = run("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path)
            longest = max(longest, float(shown))
        need(longest >= RECORDED_S - LOST_S, f"{longest} s are left of {RECORDED_S}")

    def stick_pulled(machine):
        machine.started()
        machine.says("recordings go to the USB stick")
        log = "cat /run/rill.log"
        with machine.publish(media) as publisher:
            try:
                machine.says(" on the USB stick")
                time.sleep(RECORDED_S)
                machine.command("device_del stick")
                until(lambda: "record failed" in machine.shell(log), 60, "the recording on the stick goes on", pause=2)
                machine.says("recordings go to STATE")
                # What failed is tried again after a minute, where the recordings are then.
                machine.command(f"drive_add 0 if=none,id=back,format=raw,file={stick}")
                machine.command("device_add usb-storage,drive=back")
                until(lambda: machine.shell(log).count("record start") > 1, 150, "no recording began again", pause=2)
                need(publisher.poll() is None, "the encoder was disconnected")
            finally:
                publisher.kill()

    card.write("rill.toml", shipped.replace("#on = true", "on = true"))
    fault("plug pulled while it records on STATE", shell, pulled_while_recording("STATE"))
    card.check_state()
    fault("start after that", shell, finished)
    whole(card.take_state("recordings"))
    if "xhci-pci" in board_profile(profile["board"])["image"]["modules"]:
        stick = os.path.join(card.directory, "stick.img")
        with open(stick, "wb") as file:
            file.truncate(64 << 20)
        run("mkfs.vfat", "-n", "STICK", stick)
        run("mmd", "-i", stick, "::/rill")
        devices = ["-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,file={stick}"]
        devices += ["-device", "usb-storage,drive=stick,id=stick"]
        fault("plug pulled while it records on a stick", shell, pulled_while_recording("the USB stick"), devices)
        fault("start after that", shell, finished, devices)
        fault("stick pulled while it is recorded on", shell, stick_pulled, devices)
        run("mcopy", "-s", "-n", "-i", stick, "::/rill", card.directory)
        whole(os.path.join(card.directory, "rill"))
    card.write("rill.toml", shipped)

    def errors_of_state(machine):
        machine.started()
        machine.shell("for each in /sys/fs/ext4/*/trigger_fs_error; do echo test >$each; done")
        machine.says("! The card has errors")
        machine.publish_and_play(media)

    # The last, for STATE keeps the errors in mind until it is checked.
    fault("errors of STATE", shell, errors_of_state)


def test(profile, image, with_faults):
    directory = tempfile.mkdtemp(prefix="rill-boot-")
    try:
        media = clip(directory)
        card = Card(image, directory)
        start(profile, card, media, "first")
        card.check_state()
        start(profile, card, media, "after the plug was pulled")
        card.check_state()
        if with_faults:
            faults(profile, card, media)
            card.check_state()
    finally:
        shutil.rmtree(directory)


def attempts(profile, image, with_faults):
    """Tests; and again, where the machine may fail by itself. 1 when the last attempt failed."""
    for attempt in range(profile.get("attempts", 1), 0, -1):
        try:
            test(profile, image, with_faults)
            return 0
        except Failure as failure:
            again = "; it is tried again" if attempt > 1 else ""
            print(f"boot-test: {profile['board']} on {profile['name']}: {failure}{again}", file=sys.stderr, flush=True)
    return 1


def image_of(board):
    return os.path.join(TOP, "dist", f"rill-{board}.img")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("board", nargs="?")
    parser.add_argument("--all", action="store_true", help="every board's image on every machine that this QEMU has")
    parser.add_argument("--machine", help="one of the board's [[qemu]] tables by name; the first without it")
    parser.add_argument("--image")
    parser.add_argument("--faults", action="store_true")
    options = parser.parse_args()
    if not options.all and not options.board:
        parser.error("BOARD is missing")
    try:
        if options.all:
            return max(attempts(each, image_of(board), options.faults) for board in boards() for each in machines(board))
        return attempts(machine(options.board, options.machine), options.image or image_of(options.board), options.faults)
    except Failure as failure:
        print(f"boot-test: {failure}", file=sys.stderr)
        return 1


sys.exit(main())
