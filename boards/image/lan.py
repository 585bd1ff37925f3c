"""A local network for tests: a switch, and hosts on cables, in namespaces that end with the test.

The caller calls isolate() first. The test itself stands where the switch is; hosts are network namespaces, and machines
of QEMU hang on taps."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from machine import run, until

SWITCH = "switch"


def isolate():
    """Starts the program again where it sees no network, process or /run of the machine."""
    if "RILL_ISOLATED" not in os.environ:
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.getuid() != 0:
            command[1:1] = ["--user", "--map-root-user"]
        os.environ["RILL_ISOLATED"] = "1"
        os.execvp("unshare", [*command, sys.executable, *sys.argv])
    run("mount", "-t", "tmpfs", "none", "/run")
    run("ip", "link", "set", "lo", "up")


def switch(name=SWITCH, address=None):
    """A switch that forwards at once, and everything: it knows nothing of who wants which multicast."""
    run("ip", "link", "add", name, "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
    if address:
        run("ip", "address", "add", address, "dev", name)
    run("ip", "link", "set", name, "up")


def tap(name, to=SWITCH):
    """A cable for a machine of QEMU; `-netdev tap,ifname=NAME,script=no,downscript=no` is its other end."""
    run("ip", "tuntap", "add", name, "mode", "tap")
    run("ip", "link", "set", name, "master", to, "up")


class Host:
    """A host: a namespace with one cable, called eth0 there, that is plugged in or not."""

    def __init__(self, name):
        self.name, self.running = name, []
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sleep", "infinity"])
        here = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != here, 5, "no namespace was made", 0.01)
        until(lambda: os.readlink(f"/proc/{self.holder.pid}/exe").endswith("sleep"), 5, "no namespace was made", 0.01)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        self.run("mount", "-t", "tmpfs", "none", "/run")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "set", "eth0", "up")

    def inside(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", *command]

    def run(self, *command):
        return run(*self.inside(*command))

    def start(self, *command, **options):
        process = subprocess.Popen(self.inside(*command), stdin=subprocess.DEVNULL, **options)
        self.running.append(process)
        return process

    def address(self, *addresses):
        """Gives eth0 these addresses and no others. One goes before another comes, as when DHCP finds a new one."""
        self.run("ip", "-4", "address", "flush", "dev", "eth0")
        for address in addresses:
            self.run("ip", "address", "add", address, "dev", "eth0")

    def plug(self, to=SWITCH):
        run("ip", "link", "set", self.name, "master", to, "up")

    def unplug(self):
        run("ip", "link", "set", self.name, "nomaster", "down")

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()
        self.running = []
        self.holder.kill()
        self.holder.wait()
        subprocess.run(["ip", "link", "delete", self.name], stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/></policy>
</busconfig>"""


class Avahi(Host):
    """A host with Avahi, which is what Linux desktops resolve such names with."""

    def __init__(self, name, address, host_name="listener"):
        super().__init__(name)
        self.directory = tempfile.mkdtemp(prefix="rill-avahi-")
        bus, own = os.path.join(self.directory, "bus.conf"), os.path.join(self.directory, "avahi.conf")
        with open(bus, "w") as file:
            file.write(BUS)
        with open(own, "w") as file:
            file.write(f"[server]\nhost-name={host_name}\nratelimit-burst=0\n[wide-area]\nenable-wide-area=no\n[publish]\npublish-workstation=no\n")
        self.address(address)
        self.plug()
        self.run("mkdir", "/run/dbus")
        self.start("dbus-daemon", f"--config-file={bus}", "--nofork", "--nopidfile", stderr=subprocess.DEVNULL)
        until(lambda: subprocess.run(self.inside("test", "-S", "/run/dbus/system_bus_socket")).returncode == 0, 5, "no D-Bus")
        self.log = open(os.path.join(self.directory, "log"), "w+")
        self.start("avahi-daemon", "-f", own, "--no-drop-root", "--no-chroot", "--no-rlimits", stderr=self.log, stdout=self.log)
        until(lambda: "Server startup complete" in self.said(), 20, "Avahi did not start")

    def said(self):
        with open(self.log.name) as file:
            return file.read()

    def resolve(self, name, family="-4"):
        """The address of a name, or None. It may be from Avahi's cache."""
        done = subprocess.run(self.inside("avahi-resolve", family, "-n", name), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, timeout=20)
        found = re.match(r"\S+\t(\S+)", done.stdout)
        return found and found.group(1)

    def browse(self, kind="_rtmp._tcp"):
        """Instances of a service: name, host, address and port."""
        done = subprocess.run(self.inside("avahi-browse", "-rpt", kind), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, timeout=60)
        lines = [line.split(";") for line in done.stdout.splitlines() if line.startswith("=;")]
        plain = lambda text: re.sub(r"\\(\d\d\d)", lambda code: chr(int(code.group(1))), text)
        return sorted({(plain(line[3]), line[6], line[7], int(line[8])) for line in lines if line[2] == "IPv4"})

    def stop(self):
        super().stop()
        shutil.rmtree(self.directory, ignore_errors=True)
