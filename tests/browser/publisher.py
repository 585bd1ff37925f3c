"""An encoder of any codec, since the ffmpeg of a distribution may send H.264 and AAC alone: RTMP and Enhanced RTMP of a clip that
ffmpeg has made as MP4, in its own time."""

import asyncio
import contextlib
import os
import struct
import subprocess

from stage import check

VIDEO = {
    "avc1": ("avcC", "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p"),
    "hvc1": ("hvcC", "-c:v libx265 -preset ultrafast -tune zerolatency -x265-params log-level=none:keyint=30 -tag:v hvc1 -pix_fmt yuv420p"),
    "av01": ("av1C", "-c:v libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -row-mt 1 -pix_fmt yuv420p"),
    "vp09": ("vpcC", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0 -pix_fmt yuv420p"),
}
AUDIO = {
    "mp4a": ("esds", "-c:a aac"),
    "Opus": ("dOps", "-c:a libopus -b:a 64k"),
    "fLaC": ("dfLa", "-c:a flac -strict -2"),
    "ac-3": ("dac3", "-c:a ac3"),
    ".mp3": (None, "-c:a libmp3lame"),
}
SECONDS = 14


def boxes(data, at=0, end=None):
    """Each box as its name and where its content begins and ends."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind.decode("latin-1"), at + 8, at + size
        at += size


def record(init, name):
    """What a configuration box holds."""
    place = init.find(name.encode())
    check(place > 0, f"no {name}")
    size = struct.unpack(">I", init[place - 4 : place])[0]
    return init[place + 4 : place - 4 + size]


def clip(video, audio):
    """Its configurations, and its samples in the order of their times: seconds, whether it is video, key frame, composition, bytes."""
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000",
               "-t", str(SECONDS), *VIDEO[video][1].split(), "-g", "30", "-bf", "0", *AUDIO[audio][1].split(), "-ac", "2",
               "-f", "mp4", "-movflags", "frag_every_frame+delay_moov+default_base_moof", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    init, samples, scales = b"", [], []
    for kind, begin, end in boxes(data):
        if kind == "moov":
            init, place = data[begin:end], -1
            while (place := init.find(b"mdhd", place + 1)) >= 0:
                scales.append(struct.unpack(">I", init[place + 16 : place + 20])[0])
        elif kind == "moof":
            fragment = data[begin:end]
            track = struct.unpack(">I", fragment[fragment.find(b"tfhd") + 8 :][:4])[0]
            ticks = struct.unpack(">Q", fragment[fragment.find(b"tfdt") + 8 :][:8])[0]
        elif kind == "mdat":
            samples.append((ticks / scales[track - 1], track == 1, data[begin:end]))
    return init, sorted(samples, key=lambda sample: sample[0])


def amf(*values):
    out = b""
    for value in values:
        if isinstance(value, str):
            out += b"\2" + struct.pack(">H", len(value)) + value.encode()
        elif isinstance(value, dict):
            out += b"\3" + b"".join(struct.pack(">H", len(key)) + key.encode() + amf(value[key]) for key in value) + b"\0\0\x09"
        elif value is None:
            out += b"\5"
        else:
            out += b"\0" + struct.pack(">d", value)
    return out


class Publisher:
    """Publishes as long as it is entered."""

    def __init__(self, server, video, audio, name="cam1"):
        self.port, self.video, self.audio, self.name = server.rtmp, video, audio, name

    async def __aenter__(self):
        self.init, self.samples = await asyncio.get_running_loop().run_in_executor(None, clip, self.video, self.audio)
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(b"\3" + bytes(8) + os.urandom(1528))
        s = await self.reader.readexactly(1 + 2 * 1536)
        self.writer.write(s[1:1537])
        self.write(2, 1, 0, 0, struct.pack(">I", 1 << 24))
        self.write(3, 20, 0, 0, amf("connect", 1, {"app": "live", "tcUrl": f"rtmp://127.0.0.1:{self.port}/live", "flashVer": "FMLE/3.0"}))
        self.write(3, 20, 0, 0, amf("createStream", 2, None))
        self.write(3, 20, 0, 1, amf("publish", 3, None, self.name, "live"))
        self.tasks = [asyncio.ensure_future(self.hear()), asyncio.ensure_future(self.play())]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        self.writer.close()

    async def hear(self):
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def write(self, chunk, kind, time, stream, body):
        """A message in one chunk: the size of chunks is said first."""
        self.writer.write(struct.pack(">BI", chunk, time << 8)[:4] + struct.pack(">I", len(body))[1:] + bytes([kind]) + struct.pack("<I", stream) + body)

    def header(self, is_video):
        """The sequence header, if this codec has one."""
        codec = self.video if is_video else self.audio
        box = (VIDEO if is_video else AUDIO)[codec][0]
        facts = record(self.init, box) if box else b""
        if codec == "avc1":
            return b"\x17\0\0\0\0" + facts
        if codec == "mp4a":
            # The AudioSpecificConfig is what the tag 5 of the esds holds.
            at = facts.index(b"\x05\x80\x80\x80") + 5
            return b"\xaf\0" + facts[at : at + facts[at - 1]]
        if codec == "Opus":
            # RFC 7845, section 5.1, from what the box holds in the other order.
            _, channels, skip, rate, gain, family = struct.unpack(">BBHIhB", facts[:11])
            facts = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, skip, rate, gain, family)
        elif codec == "fLaC":
            facts = b"fLaC" + facts[4:]
        elif codec in ("ac-3", ".mp3"):
            return None
        return b"\x90" + codec.encode() + facts

    def sample(self, is_video, is_key, body):
        if is_video:
            if self.video == "avc1":
                return (b"\x17" if is_key else b"\x27") + b"\1\0\0\0" + body
            # Without composition times; AV1 and VP9 have none.
            packet = 3 if self.video == "hvc1" else 1
            return bytes([0x80 | (0x10 if is_key else 0x20) | packet]) + self.video.encode() + body
        if self.audio == "mp4a":
            return b"\xaf\1" + body
        if self.audio == ".mp3":
            return b"\x2f" + body
        return b"\x91" + self.audio.encode() + body

    async def play(self):
        for is_video in (True, False):
            header = self.header(is_video)
            if header:
                self.write(4, 9 if is_video else 8, 0, 1, header)
        loop, count = asyncio.get_running_loop(), 0
        begin = loop.time()
        with contextlib.suppress(ConnectionError):
            for when, is_video, body in self.samples:
                await asyncio.sleep(max(0, begin + when - loop.time()))
                self.write(4, 9 if is_video else 8, int(when * 1000), 1, self.sample(is_video, count % 30 == 0, body))
                count += is_video
                await self.writer.drain()
