"""What a video file is, and the frames at its ends: no more is decoded than these and what lies between them and the
nearest place that a file can be read from.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from typing import Any

import av
import comfy.model_management
import numpy as np
import torch
from torch import Tensor

Source = str | io.BytesIO
"""A path, or a whole file in memory."""
WHOLE = 32
"""Pixels that FFmpeg converts at a time."""
_FLOAT_RGB = "gbrpf32le"
"""Of the conversions to RGB the one that keeps a frame's brightness to a tenth of a level there and back."""
NO_MATRIX, UNKNOWN_MATRIX = 0, 2
"""Of colours stored as red, green and blue, and where a file does not say (ITU-T H.273, MatrixCoefficients)."""
HOW_TO = "load another one, or convert it to MP4 (H.264) first"


@dataclass(frozen=True)
class Look:
    """How a file's frames are stored: what new ones must have to stand beside them."""

    width: int
    height: int
    turns: int
    """Quarter turns, counter-clockwise, that bring a stored frame upright."""
    pixel_format: str
    colour_space: int
    colour_range: int

    def upright_size(self) -> tuple[int, int]:
        """Width and height as the file is shown."""
        return (self.height, self.width) if self.turns % 2 else (self.width, self.height)

    def in_colours_of(self, original: Look) -> Look:
        """With the matrix of a video that this one was copied from, where the copy has its values and lost its name."""
        lost = self.colour_space == UNKNOWN_MATRIX and original.colour_space != NO_MATRIX
        return replace(self, colour_space=original.colour_space) if lost else self


@contextmanager
def opened(source: Source) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream. Raises ValueError for what cannot be read as a video."""
    if isinstance(source, io.BytesIO):
        source.seek(0)
    try:
        container = av.open(source, "r")
    except (av.error.FFmpegError, OSError) as problem:
        raise ValueError(f"video: the file cannot be read ({problem}): {HOW_TO}") from problem
    with container:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            raise ValueError(f"video: there is no picture in the file that can be read: {HOW_TO}")
        yield container, container.streams.video[0]


def frame_rate(stream: Any) -> Fraction:
    """Frames per second, on average where they vary. Raises ValueError where the file does not say."""
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise ValueError(f"video: the file does not say its frame rate: {HOW_TO}")
    return Fraction(rate)


def first_frames(source: Source, count: int) -> tuple[Tensor, Look]:
    """The first frames, fewer where the file is shorter: ``[count, H, W, 3]``, upright, values 0..1."""
    with opened(source) as (container, stream):
        return _pictures(list(islice(_decoded(container, stream), count)))


def last_frames(source: Source, count: int) -> tuple[Tensor, Look]:
    """The last frames, fewer where the file is shorter: ``[count, H, W, 3]``, upright, values 0..1."""
    with opened(source) as (container, stream):
        start = stream.start_time or 0
        frame = max(1, round(1 / frame_rate(stream) / stream.time_base))
        position = _end(container, stream)
        while True:
            known = position is not None and position > start
            container.seek(position if known else start, stream=stream)
            first, last = None, deque(maxlen=count)
            for decoded in _decoded(container, stream):
                first = decoded.pts if first is None else first
                last.append(decoded)
            if len(last) == count or not known:
                return _pictures(list(last))
            # Back to before what is missing.
            position = min(position if first is None else first, position) - (count - len(last)) * frame


def _end(container: Any, stream: Any) -> int | None:
    """Where the stream ends, in its time base; None where the file does not say."""
    if stream.duration is not None:
        return (stream.start_time or 0) + stream.duration
    if container.duration is not None:
        return int(Fraction(container.duration, av.time_base) / stream.time_base)
    return None


def quarter_turns(frame: Any) -> int:
    """How many, counter-clockwise, bring a decoded frame upright."""
    return round(frame.rotation / 90) % 4


def upright(frame: Any, turns: int) -> Tensor:
    """A decoded frame as it is shown, turned by so many quarters: ``[H, W, 3]``, values 0..1."""
    pixels = _widened(frame).to_ndarray(format=_FLOAT_RGB)[: frame.height, : frame.width]
    return torch.from_numpy(np.rot90(pixels, turns).clip(0, 1))


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Frames from where the container is; what is broken in between is left out."""
    for packet in container.demux(stream):
        comfy.model_management.throw_exception_if_processing_interrupted()
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _pictures(frames: list[Any]) -> tuple[Tensor, Look]:
    if not frames:
        raise ValueError(f"video: not one frame of the file can be read: {HOW_TO}")
    frame = frames[0]
    turns = quarter_turns(frame)
    look = Look(frame.width, frame.height, turns, frame.format.name, int(frame.colorspace), int(frame.color_range))
    return torch.stack([_picture(each, look) for each in frames]), look


def _picture(frame: Any, look: Look) -> Tensor:
    if (frame.width, frame.height) != (look.width, look.height):
        raise ValueError(
            f"video: its frames change size, from {look.width}x{look.height} to {frame.width}x{frame.height}: {HOW_TO}"
        )
    return upright(frame, look.turns)


def _widened(frame: Any) -> Any:
    """The frame on a surface whose width is a multiple of WHOLE, its right edge drawn out.

    Conversion reads that far; what memory happens to hold there would give other last digits each time.
    """
    beside = -frame.width % WHOLE
    if not beside or beside > frame.width:  # an edge is drawn out by no more than half of the whole
        return frame
    graph = av.filter.Graph()
    given = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
    )
    padded = graph.add("pad", f"{frame.width + beside}:{frame.height}:0:0")
    filled = graph.add("fillborders", f"right={beside}:mode=smear")
    result = graph.add("buffersink")
    for one, next_one in pairwise((given, padded, filled, result)):
        one.link_to(next_one)
    graph.configure()
    given.push(frame)
    return result.pull()
