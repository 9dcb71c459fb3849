"""A video file with new frames before or behind what is in it: its own packets are copied as they are.

It is read twice, once to see that they can be, and nothing of it is decoded or encoded: memory does not grow with it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sized
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import av
import comfy.model_management
from torch import Tensor

from .encoding import Encoder, can_continue
from .reading import UNKNOWN_MATRIX, Look, Source, frame_rate, opened
from .silence import silent_packets

_LAYOUTS = dict(enumerate(("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1"), 1))
"""FFmpeg's own, by the number of channels."""


class Frames(Sized, Iterable[Tensor], Protocol):
    """New frames ``[H, W, 3]``, upright, values 0..1."""


def can_join(source: Source, file_format: str) -> bool:
    """Whether the file's packets can stand, as they are, in one file of this format with new frames beside them."""
    with opened(source) as (container, stream):
        known = _codecs(file_format)
        taken = all(_names(each) & known for each in (stream, *_sounds(container)))
        return taken and can_continue(stream) and _shows_all(container, stream)


def join(
    source: Source,
    frames: Frames,
    before: bool,
    look: Look,
    target: Path | io.BytesIO,
    file_format: str,
    metadata: dict[str, Any] | None,
    crf: float | None = None,
) -> None:
    """Write `source` with the frames before or behind its own; see `can_join`. They are encoded one by one."""
    with ExitStack() as stack:
        container, stream = stack.enter_context(opened(source))
        output = stack.enter_context(_created(target, file_format, container, metadata, look))
        rate = frame_rate(stream)
        encoder = Encoder(stream, look, rate, crf)
        streams = {each: _added(output, each) for each in _copied(container, stream, file_format)}
        streams[stream].codec_context.extradata = encoder.record
        streams[stream].codec_context.colorspace = look.colour_space
        packets = _timed(container.demux(*streams), encoder)
        if before:
            _lead(encoder, frames, packets, streams, output)
        else:
            _follow(encoder, frames, packets, streams, output)


def _shows_all(container: Any, stream: Any) -> bool:
    """Whether a player shows every picture of the stream, from its first on.

    What an edit list hides would be seen in the middle of a film; so would what comes before a first picture that is
    not read from its beginning, and no film goes on with half a picture.
    """
    first = None
    for packet in container.demux(stream):
        comfy.model_management.throw_exception_if_processing_interrupted()
        if not packet.size:  # the empty one at the end
            continue
        first = first or packet
        if packet.is_discard or packet.pts is None or packet.pts < first.pts:
            return False
    return first is not None and first.is_keyframe


def _follow(encoder: Encoder, frames: Frames, packets: Iterator[Any], streams: dict, output: Any) -> None:
    shown = decoded = 0
    for packet in packets:
        if packet.stream is encoder.stream:
            length = packet.duration or encoder.ticks(1)
            shown, decoded = max(shown, packet.pts + length), packet.dts + length
        _mux(packet, streams[packet.stream], output)
    _mux_new(encoder.packets(frames, shown, shown - decoded), streams[encoder.stream], output)


def _lead(encoder: Encoder, frames: Frames, packets: Iterator[Any], streams: dict, output: Any) -> None:
    """The file's own packets come later by as long as the new frames are; the sound waits in silence."""
    ahead = []
    for packet in packets:
        ahead.append(packet)
        if packet.stream is encoder.stream:
            break
    first = ahead[-1]
    added = len(frames) / encoder.rate
    _mux_new(encoder.packets(frames, first.pts, first.pts - first.dts), streams[encoder.stream], output)
    started = set()
    for packet in chain(ahead, packets):
        packet.pts += _ticks(added, packet)
        packet.dts += _ticks(added, packet)
        sound = packet.stream
        if sound is not encoder.stream and sound not in started:
            started.add(sound)
            _mux_new(silent_packets(sound, packet.dts - _ticks(added, packet), packet.dts), streams[sound], output)
        _mux(packet, streams[sound], output)


def _timed(packets: Iterable[Any], encoder: Encoder) -> Iterator[Any]:
    """Packets with the times that Matroska leaves out: when the first ones are decoded."""
    waiting = []
    for packet in packets:
        if packet.pts is None:  # the empty one at the end
            continue
        if packet.dts is None and packet.stream is encoder.stream:
            waiting.append(packet)
            continue
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.stream is encoder.stream:
            for before, early in enumerate(reversed(waiting), 1):
                early.dts = packet.dts - encoder.ticks(before)
            yield from waiting
            waiting = []
        yield packet
    for late in waiting:
        late.dts = late.pts
        yield late


def _ticks(seconds: Fraction, packet: Any) -> int:
    return round(seconds / packet.time_base)


def _mux(packet: Any, stream: Any, output: Any) -> None:
    comfy.model_management.throw_exception_if_processing_interrupted()
    packet.stream = stream
    output.mux(packet)


def _mux_new(packets: Iterable[Any], stream: Any, output: Any) -> None:
    for packet in packets:
        _mux(packet, stream, output)


def _copied(container: Any, stream: Any, file_format: str) -> list[Any]:
    """The picture, all sounds, and the subtitles that a file of this format can hold."""
    known = _codecs(file_format)
    subtitles = [each for each in container.streams.subtitles if each.codec_context and _names(each) & known]
    return [stream, *_sounds(container), *subtitles]


def _sounds(container: Any) -> list[Any]:
    """Those that FFmpeg knows; of others nothing can be said."""
    return [each for each in container.streams.audio if each.codec_context is not None]


def _codecs(file_format: str) -> set[str]:
    with av.open(io.BytesIO(), "w", file_format) as output:
        return output.supported_codecs


def _names(stream: Any) -> set[str]:
    codec = stream.codec_context.codec
    return {codec.name, codec.canonical_name}


def _added(output: Any, stream: Any) -> Any:
    added = output.add_stream_from_template(template=stream, opaque=True)
    if "language" in stream.metadata:
        added.metadata["language"] = stream.metadata["language"]
    if stream.type == "audio" and stream.codec_context.layout.name.endswith(" channels"):
        # Some files say how many there are and not which; MP4 wants to know.
        channels = stream.codec_context.layout.nb_channels
        added.codec_context.layout = _LAYOUTS.get(channels, stream.codec_context.layout.name)
    return added


def _created(
    target: Path | io.BytesIO, file_format: str, container: Any, metadata: dict[str, Any] | None, look: Look
) -> Any:
    """The file to write, with what is said of the video in `container` and in `metadata`, as the host does."""
    in_memory = isinstance(target, io.BytesIO)
    options = {}
    if file_format == "mp4":
        flags = ["use_metadata_tags"] + ["faststart"] * (not in_memory)
        # By itself the format leaves out a matrix that stands alone, without primaries and transfer.
        flags += ["write_colr"] * (look.colour_space != UNKNOWN_MATRIX)
        options["movflags"] = "+".join(flags)
    output = av.open(target if in_memory else str(target), "w", file_format, options=options)
    output.metadata.update(container.metadata)
    for key, value in (metadata or {}).items():
        output.metadata[key] = value if isinstance(value, str) else json.dumps(value)
    return output
