"""New frames as packets that a file's own stream goes on with: same codec, size, colours and time base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from torch import Tensor

from . import avc
from .priority import kept_priority
from .reading import Look

ENCODERS = {"h264": "libx264", "av1": "libsvtav1"}
"""What continues a codec."""
QUALITY = {"h264": 18, "av1": 24}
"""Constant rate factors that lose nothing the eye sees: new frames are few beside the film's."""
GLOBAL_HEADER = 1 << 22
"""FFmpeg's flag for parameter sets apart from the frames."""


class Encoder:
    """Makes packets for the stream of a file. `record`: the stream's extradata, with the new frames' own beside it."""

    def __init__(self, stream: Any, look: Look, rate: Fraction, crf: float | None) -> None:
        self.stream, self.look, self.rate, self.time_base = stream, look, rate, stream.time_base
        self.codec, self.record = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
        self._context = self._opened(crf)
        if self.codec == "h264":
            self.record = avc.with_parameters(self.record, self._context.extradata)

    def packets(self, frames: Iterable[Tensor], start: int, delay: int) -> Iterator[Any]:
        """Packets of frames ``[H, W, 3]``, upright, the first shown at `start`; decoded `delay` earlier than shown."""
        number = 0
        for number, frame in enumerate(frames, 1):
            for packet in self._context.encode(self._stored(frame, start + self.ticks(number - 1))):
                yield self._placed(packet, start, delay)
        for packet in self._context.encode(None) if number else ():
            yield self._placed(packet, start, delay)

    def ticks(self, frames: int) -> int:
        """How long so many frames are, in the stream's time base."""
        return round(frames / self.rate / self.time_base)

    def _placed(self, packet: Any, start: int, delay: int) -> Any:
        shown, key = packet.pts, packet.is_keyframe
        number = round((shown - start) * self.time_base * self.rate)
        if self.codec == "h264":
            packet = av.Packet(avc.with_lengths(bytes(packet), self.stream.codec_context.extradata))
            packet.is_keyframe = key
        packet.time_base, packet.pts, packet.dts = self.time_base, shown, shown - delay
        packet.duration = start + self.ticks(number + 1) - shown
        return packet

    def _stored(self, image: Tensor, shown: int) -> Any:
        look = self.look
        levels = (image.float().clamp(0, 1).cpu().numpy() * 65535).round().astype(np.uint16)
        turned = np.ascontiguousarray(np.rot90(levels, -look.turns))
        frame = av.VideoFrame.from_ndarray(turned, format="rgb48le").reformat(
            format=look.pixel_format,
            dst_colorspace=look.colour_space,
            dst_color_range=look.colour_range,
        )
        frame.pts, frame.time_base = shown, self.time_base
        return frame

    def _opened(self, crf: float | None) -> Any:
        source, context = self.stream.codec_context, av.CodecContext.create(ENCODERS[self.codec], "w")
        context.width, context.height, context.pix_fmt = self.look.width, self.look.height, self.look.pixel_format
        context.time_base, context.framerate, context.max_b_frames = self.time_base, self.rate, 0
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        for name in ("color_primaries", "color_trc", "color_range"):
            setattr(context, name, getattr(source, name))
        context.colorspace = self.look.colour_space
        options = {"crf": f"{QUALITY[self.codec] if crf is None else crf:g}"}
        if self.codec == "h264":
            record = source.extradata
            options |= {"profile": avc.profile(record), "x264-params": f"sps-id={avc.free_id(record)}"}
            context.flags |= GLOBAL_HEADER
        context.options = options
        with kept_priority():
            context.open()
        return context


def can_continue(stream: Any) -> bool:
    """Whether there is an encoder whose packets may stand beside the stream's own."""
    context = stream.codec_context
    encoder = ENCODERS.get(context.codec.canonical_name)
    if encoder is None or encoder not in av.codecs_available:
        return False
    formats = {each.name for each in av.Codec(encoder, "w").video_formats or ()}
    if context.pix_fmt not in formats:
        return False
    return encoder != "libx264" or avc.free_id(context.extradata) is not None
