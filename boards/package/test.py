#!/usr/bin/env python3
"""Installs, runs, upgrades, removes and purges the package of one architecture in a Debian of its own.

    boards/package/test.py ARCH        as root; a foreign architecture runs under qemu-user

The Debian is made by mmdebstrap and kept as target/package/debian-SUITE-ARCH.tar. In the first half systemd does not run
in there: the server is started as the unit says (program, user, umask, directories, watchdog) and this program takes the
service manager's place, as far as notifications go. On this machine's own architecture the server is run under strace, and
the unit's filter of system calls compared with those that it makes; and in a second half systemd itself runs, in
namespaces: with the sandbox, the restart by the watchdog, and the upgrade and purge of a service that runs. What is not
covered: that MemoryMax holds (its value is), and systemd under emulation."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
WORK = TOP / "target/package"
SUITE = os.environ.get("DEB_SUITE", "bookworm")
# Longer than anything takes that works, also under emulation on a busy machine.
PATIENCE = 120


def say(text):
    print(f"test-deb: {text}", flush=True)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"test-deb: {' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def is_native(arch):
    return arch == run("dpkg", "--print-architecture").strip()


def register_emulation(arch):
    """Lets the kernel start foreign programs by qemu-user, as Debian's package does where systemd runs."""
    name = {"arm64": "qemu-aarch64", "armhf": "qemu-arm"}.get(arch)
    if is_native(arch) or name is None:
        return
    formats = pathlib.Path("/proc/sys/fs/binfmt_misc")
    if not (formats / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", formats)
    if not (formats / name).exists():
        (formats / "register").write_text(pathlib.Path(f"/usr/lib/binfmt.d/{name}.conf").read_text().strip())


def make_debian(arch, root):
    archive = WORK / f"debian-{SUITE}-{arch}.tar"
    packages = "adduser,systemd-sysv" if is_native(arch) else "adduser"
    if not archive.exists():
        say(f"making a {SUITE} for {arch}")
        WORK.mkdir(parents=True, exist_ok=True)
        made = archive.with_suffix(".part.tar")
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=essential", f"--include={packages}",
            f"--architectures={arch}",            SUITE, made, stdin=subprocess.DEVNULL)
        made.rename(archive)
    run("tar", "-C", root, "-xf", archive)
    run("mount", "-t", "proc", "proc", root / "proc")


def unit_settings(root):
    """The keys of [Service]; of those that are repeated, every value."""
    settings, section = {}, ""
    for line in (root / "usr/lib/systemd/system/rill.service").read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            settings.setdefault(key, []).append(value)
    return settings


def state_of(root):
    """Every path of the system with what it is, and the accounts; not what the package manager itself keeps."""
    kept = re.compile(r"^(dev|proc|sys|run|tmp|var/log|var/lib/dpkg|var/cache|etc/[a-z]*-$|etc/\.pwd\.lock)(/|$)")
    paths = set()
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.relpath(os.path.join(directory, name), root)
            if not kept.match(path):
                paths.add(path)
        directories[:] = [name for name in directories if not kept.match(os.path.relpath(os.path.join(directory, name), root))]
    return paths, [(root / "etc" / name).read_text() for name in ("passwd", "group", "shadow", "gshadow")]


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


class Service:
    """The server, started as its unit says, with this program as its service manager."""

    def __init__(self, root, wrapper=()):
        settings = unit_settings(root)
        one = lambda key: settings[key][-1]
        expect(one("Type") == "notify", "the unit is of type notify")
        self.reload = one("ExecReload")
        run_directory = root / "run" / one("RuntimeDirectory")
        shutil.rmtree(run_directory, ignore_errors=True)
        run_directory.mkdir(mode=0o700)
        run_directory.chmod(int(one("RuntimeDirectoryMode"), 8))
        self.uid, self.gid = account(root, one("User"))
        os.chown(run_directory, self.uid, self.gid)
        path = root / "run/notify"
        path.unlink(missing_ok=True)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(path))
        path.chmod(0o777)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "NOTIFY_SOCKET": "/run/notify",
            "WATCHDOG_USEC": str(int(one("WatchdogSec")) * 1000000),
        }
        self.log = open(WORK / "service.log", "w+")
        command = [*wrapper, "chroot", f"--userspec={self.uid}:{self.gid}", "--groups=", str(root), *one("ExecStart").split()]
        mask = int(one("UMask"), 8)
        self.process = subprocess.Popen(command, env=environment, umask=mask, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        expect(self.hears("READY=1") == ["READY=1"], "the first that the server says is that it is ready")

    def hears(self, wanted):
        """Waits for a notification that begins so, and returns it with those before it."""
        heard, until = [], time.monotonic() + PATIENCE
        while True:
            self.manager.settimeout(max(0.01, until - time.monotonic()))
            try:
                heard.append(self.manager.recv(4096).decode())
            except TimeoutError:
                self.log.seek(0)
                raise AssertionError(f"no {wanted} in {heard}; the log:\n{self.log.read()}") from None
            if heard[-1].startswith(wanted):
                return heard

    def server_pid(self):
        """Of the server itself, which under strace is a child."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid

    def reloads(self):
        run("sh", "-c", self.reload.split('"')[1].replace("$MAINPID", str(self.server_pid())))
        self.hears("RELOADING=1\nMONOTONIC_USEC=")
        self.hears("READY=1")

    def stops(self):
        os.kill(self.server_pid(), 15)
        self.hears("STOPPING=1")
        expect(self.process.wait(PATIENCE) == 0, "it ends well")
        self.manager.close()


def account(root, name):
    for line in (root / "etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    raise AssertionError(f"there is no user {name}")


def publishes(port):
    """ffmpeg publishes, ffprobe plays."""
    url = f"rtmp://127.0.0.1:{port}/live/cam1"
    source = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=15", "-f", "lavfi", "-i", "sine"]
    encoding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "15", "-c:a", "aac", "-t", "60", "-f", "flv"]
    with subprocess.Popen(["ffmpeg", "-v", "error", *source, *encoding, url], stdin=subprocess.DEVNULL) as encoder:
        try:
            probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url]
            codecs = run(*probe, timeout=PATIENCE).split()
            expect(sorted(codecs) == ["aac", "h264"], f"a player gets both streams, and got {codecs}")
        finally:
            encoder.terminate()


class Machine:
    """A Debian that systemd runs, in namespaces of its own."""

    # What keeps systemd from starting units that a container cannot have.
    UNWANTED = """systemd-udevd.service systemd-udev-trigger.service getty.target dev-hugepages.mount dev-mqueue.mount
        systemd-remount-fs.service systemd-sysctl.service systemd-modules-load.service systemd-random-seed.service
        systemd-binfmt.service proc-sys-fs-binfmt_misc.automount sys-kernel-config.mount sys-kernel-debug.mount
        sys-kernel-tracing.mount sys-fs-fuse-connections.mount systemd-logind.service systemd-timesyncd.service""".split()
    SETUP = """
        set -e
        mount --make-rprivate /
        mount --bind "$1" "$1"
        cd "$1"
        mount -t proc proc proc
        mount -t sysfs -o ro sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        for directory in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs $directory; done
        chmod 1777 tmp
        mkdir dev/pts dev/shm dev/mqueue dev/hugepages
        mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
        mknod -m 666 dev/null c 1 3; mknod -m 666 dev/zero c 1 5; mknod -m 666 dev/full c 1 7
        mknod -m 666 dev/random c 1 8; mknod -m 666 dev/urandom c 1 9; mknod -m 666 dev/tty c 5 0
        ln -s pts/ptmx dev/ptmx
        ln -s /proc/self/fd dev/fd
        ip link set lo up
        mkdir -p oldroot
        pivot_root . oldroot
        umount -l oldroot
        rmdir oldroot
        exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system
    """

    def __init__(self, root, cgroups):
        for unit in self.UNWANTED:
            (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        # A group of its own below this one's, beyond which the systemd within sees nothing.
        self.cgroup = cgroups / f"rill-package-{os.getpid()}"
        self.cgroup.mkdir()
        join = f"echo $$ >{self.cgroup}/cgroup.procs; exec unshare --mount --pid --cgroup --uts --ipc --net --fork --kill-child"
        self.process = subprocess.Popen(["sh", "-c", f'{join} sh -c "$0" sh "$1"', self.SETUP, str(root)],
                                        stdin=subprocess.DEVNULL, stdout=open(WORK / "systemd.log", "w"),
                                        stderr=subprocess.STDOUT)
        self.wait_until(lambda: self.ask("systemctl", "is-system-running") in ("running", "degraded"), "systemd runs")

    def inside(self, *command):
        """The command within, whatever comes of it."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        enter = ["nsenter", "--target", children[0], "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net", "--root", "--wd"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run([*enter, *command], capture_output=True, text=True, env=environment)

    def ask(self, *command):
        try:
            return self.inside(*command).stdout.strip()
        except IndexError:
            return ""

    def must(self, *command):
        done = self.inside(*command)
        expect(done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def show(self, name):
        return self.ask("systemctl", "show", "rill", "--property", name, "--value")

    def wait_until(self, condition, what):
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(f"not within {PATIENCE} s: {what}\n{self.ask('systemctl', 'status', 'rill')}")
            time.sleep(0.2)

    def close(self):
        self.process.kill()
        self.process.wait()
        for _ in range(50):
            for directory, _, _ in os.walk(self.cgroup, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass
            if not self.cgroup.exists():
                return
            time.sleep(0.1)


def test_with_systemd(arch, package, root):
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    cgroups = next((pathlib.Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)
    if cgroups is None:
        say(f"{arch}: NOT TESTED with systemd: this machine has no cgroup2")
        return
    shutil.copy(package, root / "new.deb")
    shutil.copy(old_package(arch, package), root / "old.deb")
    machine = Machine(root, cgroups)
    try:
        say(f"{arch}: with systemd: install, start")
        machine.must("dpkg", "--force-confdef", "--force-confold", "-i", "/old.deb")
        expect(machine.show("ActiveState") == "active", machine.ask("systemctl", "status", "rill"))
        machine.wait_until(lambda: machine.show("StatusText") == "0 clients, 0 streams", "the status is shown")
        expect(re.fullmatch(r"\d+", machine.show("MemoryMax")), f"MemoryMax is {machine.show('MemoryMax')}")
        expect("live" in machine.must("rill", "ctl", "apps"), "rill ctl finds the server")
        status = machine.must("cat", f"/proc/{machine.show('MainPID')}/status")
        # Linux's include/uapi/linux/capability.h: CAP_NET_BIND_SERVICE is bit 10.
        for fact in ("Seccomp:\t2", "NoNewPrivs:\t1", f"CapEff:\t{1 << 10:016x}"):
            expect(fact in status, f"the sandbox holds: {fact} in\n{status}")
        machine.must("systemctl", "reload", "rill")
        machine.wait_until(lambda: machine.show("ActiveState") == "active", "a reload ends")

        say(f"{arch}: with systemd: the page at port 80")
        machine.must("sed", "-i", 's/^#http = .*/http = ["127.0.0.1:80"]/', "/etc/rill/rill.toml")
        machine.must("systemctl", "restart", "rill")
        ask = 'exec 3<>/dev/tcp/127.0.0.1/80; printf "GET / HTTP/1.1\\r\\nHost: pi\\r\\nConnection: close\\r\\n\\r\\n" >&3; head -n 1 <&3'
        expect("200" in machine.must("bash", "-c", ask), "the page is at port 80")

        say(f"{arch}: with systemd: a stuck server is started again")
        stuck = machine.show("MainPID")
        machine.must("sh", "-c", f"kill -STOP {stuck}")
        started = lambda: machine.show("ActiveState") == "active" and machine.show("MainPID") not in ("0", stuck)
        machine.wait_until(started, "the watchdog starts it again")

        say(f"{arch}: with systemd: upgrade and purge while it runs")
        before = machine.show("MainPID")
        machine.must("dpkg", "--force-confdef", "--force-confold", "-i", "/new.deb")
        expect(machine.show("ActiveState") == "active" and machine.show("MainPID") != before, "an upgrade starts the new one")
        machine.must("dpkg", "-P", "rill")
        expect(machine.show("ActiveState") == "inactive", "purge ends it")
        left = machine.ask("find", "/run", "/etc", "/var/lib", "-name", "*rill*", "-not", "-path", "/var/lib/dpkg/*")
        expect(not left, f"purge leaves {left}")
    finally:
        machine.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def old_package(arch, package):
    """The same as an older version, with another configuration file, so that an upgrade has something to decide."""
    with tempfile.TemporaryDirectory() as directory:
        run("dpkg-deb", "-R", package, directory)
        control = pathlib.Path(directory, "DEBIAN/control")
        control.write_text(re.sub(r"(?m)^Version: .*", "Version: 0.0.1", control.read_text()))
        with open(pathlib.Path(directory, "etc/rill/rill.toml"), "a") as file:
            file.write("# The last line of an older version.\n")
        run("dpkg-deb", "--root-owner-group", "-Zxz", "-z0", "-b", directory, WORK / f"rill-old-{arch}.deb")
    return WORK / f"rill-old-{arch}.deb"


def filter_allows(settings, calls):
    """Whether the unit's filter lets these system calls through: the first line allows, a later one with ~ forbids."""

    def members(name):
        if not name.startswith("@"):
            return {name}
        said = run("systemd-analyze", "--no-pager", "syscall-filter", name)
        words = [line.strip() for line in said.splitlines()[1:]]
        return set().union(*(members(word) for word in words if word and not word.startswith("#")))

    allowed = set()
    for value in settings["SystemCallFilter"]:
        named = set().union(*(members(word) for word in value.lstrip("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    return calls - allowed


def test(arch, package, root):
    inside = lambda *command, **options: run("chroot", root, *command, **options)
    before = state_of(root)
    shutil.copy(package, root / "new.deb")
    shutil.copy(old_package(arch, package), root / "old.deb")
    before[0].update(("new.deb", "old.deb"))
    environment = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    dpkg = lambda *arguments: inside("dpkg", "--force-confdef", "--force-confold", *arguments, env=environment)

    say(f"{arch}: install")
    dpkg("-i", "/old.deb")
    uid, gid = account(root, "rill")
    applications = root / "var/lib/rill/applications"
    for directory in (applications, applications / "live", applications / "vod"):
        status = directory.stat()
        expect((status.st_uid, status.st_gid, status.st_mode & 0o7777) == (uid, gid, 0o2775), f"{directory}: {status}")
    wants = root / "etc/systemd/system/multi-user.target.wants/rill.service"
    expect(wants.is_symlink(), "the service is enabled")
    inside("adduser", "--quiet", "--disabled-password", "--gecos", "", "pi")
    inside("adduser", "--quiet", "pi", "rill")
    pi, _ = account(root, "pi")
    as_pi = lambda *command: run("chroot", f"--userspec={pi}:{gid}", root, *command)

    say(f"{arch}: start, publish and play, reload, stop")
    port = free_port()
    config = root / "etc/rill/rill.toml"
    text, count = re.subn(r"(?m)^#listen = .*$", f'listen = ["127.0.0.1:{port}"]', config.read_text())
    expect(count == 1, "the configuration file has the key to listen")
    config.write_text(text)
    inside("rill", "-t")
    trace = WORK / "strace.log"
    traced = arch == "amd64" and shutil.which("strace")
    service = Service(root, ("strace", "-f", "-qq", "-o", trace) if traced else ())
    publishes(port)
    service.hears("WATCHDOG=1")
    expect("live" in as_pi("rill", "ctl", "apps"), "a member of the group may use rill ctl")
    as_pi("mkdir", "-p", "/var/lib/rill/applications/chess/streams")
    as_pi("sh", "-c", "echo precious > /var/lib/rill/applications/chess/streams/record.flv")
    (applications / "vod").rmdir()
    service.reloads()
    service.stops()
    if traced:
        # From the moment that the program itself is started: what chroot does before is not filtered.
        lines = trace.read_text().splitlines()
        start = next(at for at, line in enumerate(lines) if 'execve("/usr/bin/rill"' in line)
        calls = {found.group(1) for line in lines[start:] if (found := re.match(r"\d+\s+(?:<\.\.\. )?([a-z]\w*)[( ]", line))}
        refused = filter_allows(unit_settings(root), calls)
        expect(not refused, f"the unit's filter refuses {refused}")
        say(f"{arch}: {len(calls)} different system calls were made, the unit's filter allows all of them")

    say(f"{arch}: memory limit")
    fake = root / "usr/local/bin/systemctl"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    asked = inside("/usr/lib/rill/memory-limit", env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    fake.unlink()
    limit = re.fullmatch(r"set-property --runtime rill\.service MemoryMax=(\d+)\n", asked)
    expect(limit and int(limit.group(1)) > 16 << 20, f"memory-limit asks for {asked!r}")

    say(f"{arch}: upgrade")
    dpkg("-i", "/new.deb")
    expect(config.read_text() == text, "the configuration is kept")
    expect((applications / "chess/streams/record.flv").read_text() == "precious\n", "the recording is kept")
    expect(not (applications / "vod").exists(), "an application that was removed stays removed")
    service = Service(root)
    publishes(port)
    service.stops()

    say(f"{arch}: remove and purge")
    dpkg("-r", "rill")
    expect(not (root / "usr/bin/rill").exists() and config.exists(), "removing keeps the configuration")
    expect((applications / "chess/streams/record.flv").exists(), "removing keeps recordings")
    inside("deluser", "--quiet", "pi")
    shutil.rmtree(root / "home/pi")
    dpkg("-P", "rill")
    after = state_of(root)
    left, lost = after[0] - before[0], before[0] - after[0]
    expect(not left and not lost, f"purge leaves {sorted(left)} and takes {sorted(lost)}")
    expect(after[1] == before[1], "purge leaves no account")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: boards/package/test.py ARCH")
    if os.geteuid() != 0:
        sys.exit("test-deb: a chroot takes root: sudo make test-deb")
    arch = sys.argv[1]
    if os.environ.get("RILL_OWN_MOUNTS") != "1":
        # Whatever is mounted goes with the process that mounted it, however it ends.
        register_emulation(arch)
        os.environ["RILL_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation=private", sys.executable, *sys.argv])
    version = re.search(r'(?m)^version = "(.*)"', (TOP / "Cargo.toml").read_text()).group(1)
    package = TOP / f"dist/rill_{version}_{arch}.deb"
    if not package.exists():
        sys.exit(f"test-deb: {package} is missing: make deb")
    begin = time.monotonic()
    root = pathlib.Path(tempfile.mkdtemp(prefix="rill-package-"))
    try:
        root.chmod(0o755)
        make_debian(arch, root)
        made = time.monotonic()
        test(arch, package, root)
        if is_native(arch):
            run("umount", root / "proc")
            shutil.rmtree(root)
            root.mkdir(mode=0o755)
            run("tar", "-C", root, "-xf", WORK / f"debian-{SUITE}-{arch}.tar")
            test_with_systemd(arch, package, root)
    finally:
        subprocess.run(["umount", "-l", root / "proc"], stderr=subprocess.DEVNULL)
        if not os.path.ismount(root / "proc"):
            shutil.rmtree(root)
    say(f"{arch}: all is well; {made - begin:.0f} s to make the system, {time.monotonic() - made:.0f} s to test")


main()
