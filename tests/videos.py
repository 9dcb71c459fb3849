"""Videos made for tests, and what is in a video that was continued: packet by packet, frame by frame."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT, RATE = 64, 48, 25
QUARTER = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
"""The matrix in an MP4's track header that turns the picture by 90 degrees."""


def picture(number: int, width: int, height: int) -> np.ndarray:
    """A smooth picture, another for every number up to 200."""
    across, down = np.meshgrid(np.linspace(40, 200, width), np.linspace(60, 180, height))
    return np.stack([across, down, np.full_like(across, number % 200 + 30)], -1).astype(np.uint8)


def made(
    path: Path,
    frames: int = 40,
    width: int = WIDTH,
    height: int = HEIGHT,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    space: int | None = None,
    matrix_alone: bool = False,
    full: bool = False,
    sound: bool = False,
    times: Callable[[int], int] | None = None,
    options: dict[str, str] | None = None,
    container: str | None = None,
) -> str:
    """A video file; `times`: milliseconds at which frames are shown, where these vary.

    matrix_alone: of `space` the file names the matrix, and neither primaries nor transfer.
    """
    with av.open(str(path), "w", container) as output:
        video = output.add_stream(codec, rate=RATE)
        video.width, video.height, video.pix_fmt, video.options = width, height, pixels, options or {"g": "10"}
        if space:
            video.codec_context.colorspace = space
            video.codec_context.color_primaries = video.codec_context.color_trc = 2 if matrix_alone else space
        if full:
            video.codec_context.color_range = 2
        if times:
            video.codec_context.time_base = Fraction(1, 1000)
        audio = output.add_stream("aac", rate=48000, layout="stereo") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, width, height), format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=space, dst_color_range=2 if full else None)
            if times:
                frame.pts, frame.time_base = times(number), Fraction(1, 1000)
            output.mux(video.encode(frame))
        output.mux(video.encode())
        if audio:
            wave = np.sin(np.arange(48000 * frames // RATE) / 20).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
            heard.sample_rate, heard.pts = 48000, 0
            output.mux(audio.encode(heard))
            output.mux(audio.encode())
    return str(path)


def turned(path: str) -> str:
    """The file, shown turned by a quarter."""
    content = bytearray(Path(path).read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    content[matrix : matrix + len(QUARTER)] = QUARTER
    Path(path).write_bytes(content)
    return path


def shortened(path: str, share: float) -> str:
    """The MP4, of which its edit list shows this share, as a phone's editor cuts it: the rest is still in the file."""
    content = bytearray(Path(path).read_bytes())
    duration = content.index(b"elst") + 4 + 4 + 4
    struct.pack_into(">I", content, duration, round(struct.unpack_from(">I", content, duration)[0] * share))
    Path(path).write_bytes(content)
    return path


def begun_late(source: str, path: Path) -> str:
    """The file from its second keyframe on, with the pictures that are shown before that one and lean on the first."""
    with av.open(source) as given, av.open(str(path), "w") as output:
        video = given.streams.video[0]
        copy, keyframes = output.add_stream_from_template(video), 0
        for packet in given.demux(video):
            keyframes += packet.is_keyframe
            if keyframes > 1 and packet.size:
                packet.stream = copy
                output.mux(packet)
    return str(path)


def with_sound_and_words(path: Path) -> str:
    """A video of 40 frames in Matroska with PCM, which says no layout of its two channels there, and subtitles."""
    words = path.with_suffix(".srt")
    words.write_text("1\n00:00:00,200 --> 00:00:00,800\nhello\n\n", encoding="utf-8")
    silent = made(path.with_suffix(".silent.mkv"))
    with av.open(silent) as picture, av.open(str(words)) as text, av.open(str(path), "w") as output:
        copies = {each: output.add_stream_from_template(each) for each in (*picture.streams, *text.streams)}
        sound = output.add_stream("pcm_s16le", rate=8000, layout="stereo")
        copies[text.streams[0]].metadata["language"] = sound.metadata["language"] = "fra"
        for packet in (*picture.demux(), *text.demux()):
            if packet.size:
                packet.stream = copies[packet.stream]
                output.mux(packet)
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 8000), np.int16), format="s16", layout="stereo")
        heard.sample_rate, heard.pts = 8000, 0
        output.mux([*sound.encode(heard), *sound.encode()])
    return str(path)


def packets(source: str, kind: str) -> list[str]:
    return [hashlib.md5(each).hexdigest() for each in _packets(source, kind)]


def held(source: str, kind: str) -> bytes:
    """What the packets hold, however it is divided among them."""
    return b"".join(_packets(source, kind))


def _packets(source: str, kind: str) -> list[bytes]:
    with av.open(source) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [bytes(each) for each in container.demux(*streams) if each.size] if streams else []


def frames(source: str) -> list[Any]:
    with av.open(source) as container:
        return list(container.decode(video=0))


def same(ours: list[Any], theirs: list[Any]) -> bool:
    return len(ours) == len(theirs) and all(
        np.array_equal(one.to_ndarray(format="rgb24"), other.to_ndarray(format="rgb24"))
        for one, other in zip(ours, theirs, strict=True)
    )


def compared(source: str, result: str, before: bool) -> dict[str, Any]:
    """The result beside the file it was made from; `difference`: in levels of 255, across the seam."""
    kept = {}
    for kind in ("video", "audio"):
        ours, theirs = held(result, kind), held(source, kind)
        kept[kind] = ours.endswith(theirs) if before else ours.startswith(theirs)
    shown, known = frames(result), frames(source)
    added = len(shown) - len(known)
    old, new = (shown[added:], shown[:added]) if before else (shown[: len(known)], shown[len(known) :])
    edge, beside = (known[0], new[-1]) if before else (known[-1], new[0])
    levels = [each.to_ndarray(format="rgb24").astype(float) for each in (edge, beside)]
    with av.open(result) as container, av.open(source) as original:
        video, stream = container.streams.video[0], original.streams.video[0]
        facts = {
            "format": container.format.name,
            "codec": video.codec_context.codec.canonical_name,
            "same rate": video.average_rate == stream.average_rate,
            "seconds": container.duration / av.time_base,
            "sound": [float((each.duration or 0) * each.time_base) for each in container.streams.audio],
            "metadata": dict(container.metadata),
        }
    first = [each[0].to_ndarray(format="rgb24").astype(float).mean((0, 1)) for each in (old, known)]
    times = [float(each.pts * each.time_base) for each in (shown[: added + 1] if before else shown[len(known) - 1 :])]
    return facts | {
        "kept": kept,
        "frames": [len(known), added],
        "old equal": same(old, known),
        "steps": [two - one for one, two in zip(times, times[1:], strict=False)],
        "difference": float(np.abs(levels[0] - levels[1]).mean()),
        "old difference": float(np.abs(first[0] - first[1]).max()),
        "turned": sorted({each.rotation for each in shown}),
        "size": [shown[0].width, shown[0].height],
    }


def loudness(source: str, seconds: float) -> float:
    """Of the sound up to this time."""
    with av.open(source) as container:
        heard = [each for each in container.decode(audio=0) if each.time + each.samples / each.sample_rate <= seconds]
    return max(float(np.abs(each.to_ndarray()).max()) for each in heard)
