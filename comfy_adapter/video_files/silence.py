"""Silence in the packets of a sound that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np

CODEC = "aac"
_WARM = 4
"""Frames after which an encoder that hears nothing writes the same again."""


def silent_packets(stream: Any, start: int, end: int) -> Iterator[Any]:
    """Packets that end at `end` and begin at `start` or just before, in the stream's time base.

    None where the sound is no AAC that our encoder makes alike: there it simply begins later.
    """
    source = stream.codec_context
    if source.codec.canonical_name != CODEC or not source.extradata:
        return
    context = av.CodecContext.create(CODEC, "w")
    context.sample_rate, context.layout, context.format = source.sample_rate, source.layout.name, "fltp"
    context.open()
    # The first two bytes say object type, rate and channels; encoders differ in what they add.
    if context.extradata[:2] != source.extradata[:2]:
        return
    samples = context.frame_size
    length = round(samples / source.sample_rate / stream.time_base)
    packet = _silence(context, samples)
    for number in range(-(-(end - start) // length), 0, -1):
        silent = av.Packet(packet)
        silent.time_base, silent.is_keyframe = stream.time_base, True
        silent.pts = silent.dts = end - number * length
        silent.duration = length
        yield silent


def _silence(context: Any, samples: int) -> bytes:
    nothing = np.zeros((context.layout.nb_channels, samples), np.float32)
    packets = []
    for number in range(_WARM):
        frame = av.AudioFrame.from_ndarray(nothing, format="fltp", layout=context.layout.name)
        frame.sample_rate, frame.pts = context.sample_rate, number * samples
        packets += context.encode(frame)
    return bytes(packets[-1])
