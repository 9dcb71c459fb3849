"""A VIDEO that is a file with new frames before or behind its own: saved, it has the file's packets as they are."""

from __future__ import annotations

import io
import os
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.v0_0_2 import Input, InputImpl, Types

from ...seine_model.writing import whole_file
from .encoding import QUALITY
from .joining import can_join, join
from .new_frames import NewFrames
from .reading import Source, first_frames, frame_rate, opened

_FORMATS = {"mp4": "mp4", "mkv": "matroska", "webm": "webm"}
"""FFmpeg's names of the host's containers."""
_AUTO = "auto"


class ExtendedVideo(Input.Video):
    """The video of a file and new frames; see `file_of` for the file, which stays as it is."""

    def __init__(self, file: VideoFile, frames: NewFrames, before: bool) -> None:
        self.file, self.frames, self.before = file, frames, before

    def save_to(
        self,
        path: str | os.PathLike | io.BytesIO,
        format: str = _AUTO,  # noqa: A002  the host's name
        codec: str = _AUTO,
        metadata: dict[str, Any] | None = None,
        bit_depth: int | None = None,
        crf: float | None = None,
        **colours: Any,
    ) -> None:
        """As the host's, but whole or not at all.

        Where the file's own packets cannot stand in what is wanted, the host first re-encodes it, beside its target.
        """
        suffix = Path(path).suffix.lstrip(".").lower() if isinstance(path, str | os.PathLike) else ""
        name = _value(format) if _value(format) != _AUTO else suffix
        file_format = _FORMATS.get(name, "mp4")
        wanted = {"bit_depth": bit_depth, "crf": crf, **colours}
        as_it_is = all(value is None for value in wanted.values()) and _value(codec) in (_AUTO, self.file.codec())
        with _target(path) as target, _beside(target) as copy:
            source = self.file.source
            _, look = first_frames(source, 1)
            if not as_it_is or not can_join(source, file_format):
                _reencoded(source, copy, file_format, _value(codec), wanted)
                source, original = str(copy), look
                look = first_frames(source, 1)[1].in_colours_of(original)
            join(source, self.frames, self.before, look, target, file_format, metadata, crf)

    def get_components(self) -> Any:
        """All frames decoded, for nodes that work on images; before the file's sound comes silence."""
        known, new = self.file.video.get_components(), self.frames.decoded()
        images = torch.cat((new, known.images) if self.before else (known.images, new))
        audio = known.audio
        if audio is not None and self.before:
            lead = round(len(new) / self.get_frame_rate() * audio["sample_rate"])
            silence = audio["waveform"].new_zeros((*audio["waveform"].shape[:-1], lead))
            audio = {**audio, "waveform": torch.cat((silence, audio["waveform"]), -1)}
        return Types.VideoComponents(images=images, audio=audio, frame_rate=self.get_frame_rate())

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> Any:
        return InputImpl.VideoFromFile(self.get_stream_source()).as_trimmed(
            start_time or 0, duration or 0, strict_duration
        )

    def get_dimensions(self) -> tuple[int, int]:
        return self.file.video.get_dimensions()

    def get_bit_depth(self) -> int:
        return self.file.video.get_bit_depth()

    def get_color_space(self) -> str:
        return self.file.video.get_color_space()

    def get_duration(self) -> float:
        return self.file.video.get_duration() + float(len(self.frames) / self.get_frame_rate())

    def get_frame_count(self) -> int:
        return self.file.video.get_frame_count() + len(self.frames)

    def get_frame_rate(self) -> Fraction:
        return self.file.rate()

    def get_container_format(self) -> str:
        return self.file.video.get_container_format()


class VideoFile:
    """A file that holds a VIDEO and nothing else: no part of it is cut off."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.video = InputImpl.VideoFromFile(source)

    def rate(self) -> Fraction:
        with opened(self.source) as (_, stream):
            return frame_rate(stream)

    def codec(self) -> str:
        with opened(self.source) as (_, stream):
            return stream.codec_context.codec.canonical_name


def file_of(video: Any) -> VideoFile:
    """The file that a VIDEO is read from; a new one, as long as it is used, for one that is cut or not from a file.

    Raises ValueError for what is no VIDEO.
    """
    if not isinstance(video, Input.Video):
        raise ValueError(f"video: there is no video in it ({type(video).__name__}): wire in Load Video")
    if isinstance(video, InputImpl.VideoFromFile):
        if not any(video.get_active_trim_window()):
            return VideoFile(video.get_stream_source())
        options = {"crf": QUALITY["h264"]}
    else:
        options = {}
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seine_{uuid.uuid4().hex}.mp4"
    video.save_to(str(path), **options)
    file = VideoFile(str(path))
    weakref.finalize(file, path.unlink, missing_ok=True)
    return file


def _reencoded(source: Source, copy: Path, file_format: str, codec: str, wanted: dict[str, Any]) -> None:
    """The file written anew by the host, in a codec that new frames can be added to."""
    if codec == _AUTO:
        codec = "av1" if file_format == "webm" else "h264"
    given = {name: value for name, value in wanted.items() if value is not None}
    container = next(name for name, known in _FORMATS.items() if known == file_format)
    InputImpl.VideoFromFile(source).save_to(
        str(copy),
        format=Types.VideoContainer(container),
        codec=Types.VideoCodec(codec),
        **{"crf": QUALITY.get(codec), **given},
    )


@contextmanager
def _target(path: str | os.PathLike | io.BytesIO) -> Iterator[Path | io.BytesIO]:
    """Where to write so that there is a whole file in the end or none."""
    if not isinstance(path, str | os.PathLike):
        yield path
        return
    target = Path(path)
    with whole_file(target, target.suffix) as part:
        yield part


@contextmanager
def _beside(target: Path | io.BytesIO) -> Iterator[Path]:
    """A path on the target's disk, which has room for it; what is there is gone afterwards."""
    folder = target.parent if isinstance(target, Path) else Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    suffix = target.suffix if isinstance(target, Path) else ".mp4"
    copy = folder / f".seine_{uuid.uuid4().hex}{suffix}"
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _value(choice: Any) -> str:
    """The word of a choice of the host, which may come as its member or as the word."""
    return str(getattr(choice, "value", choice)).lower()
