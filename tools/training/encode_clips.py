"""Encodes a folder of captioned clips for training; runs inside a ComfyUI's process (see in_host.py)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import torch
from comfyui_seine.comfy_adapter import loading
from comfyui_seine.comfy_adapter.keyframes import encode_gray
from comfyui_seine.comfy_adapter.model import SeineModelConfig
from comfyui_seine.comfy_adapter.video_files.reading import quarter_turns, upright
from comfyui_seine.seine_model.checkpoint import CheckpointError
from comfyui_seine.seine_model.preprocessing import resize
from comfyui_seine.seine_model.writing import whole_file
from comfyui_seine.tools.training.clip_files import SUFFIXES, caption_of, videos_in
from comfyui_seine.tools.training.latent_clips import LatentClips


class Refused(ValueError):
    """Clips that cannot be used; the message says which and why."""


def main(
    checkpoint: str,
    base: str | None,
    clips: str,
    frames: int,
    every: int,
    width: int,
    height: int,
    target: str,
    made_from: dict[str, Any],
) -> dict[str, Any]:
    """Write the encoded clips, and with them the record of what they were made from; how many, or why not."""
    try:
        videos = captioned_videos(Path(clips))
        _, clip, vae = loading.load_bundle(Path(checkpoint), Path(base) if base else None)
        scale = SeineModelConfig.latent_format().process_in

        def encode(pixels: torch.Tensor) -> torch.Tensor:
            return scale(vae.encode(pixels).cpu().float())

        def context(caption: str) -> torch.Tensor:
            return clip.encode_from_tokens(clip.tokenize(caption)).cpu().float()[0]

        latents, contexts = [], []
        for file, caption in videos.items():
            before = len(latents)
            for window in read_windows(file, frames, every, width, height):
                latents.append(encode(window).half())
                contexts.append(context(caption).half())
            if len(latents) == before:
                raise Refused(f"--clips: {file.name} is shorter than {frames * every} frames")
        gray = scale(encode_gray(vae, width, height).cpu().float())
        data = LatentClips(torch.stack(latents), torch.stack(contexts), gray, context(""), made_from)
        with whole_file(Path(target)) as part:
            data.save(part)
    except (Refused, CheckpointError) as problem:
        return {"refused": str(problem)}
    return {"clips": len(latents), "videos": len(videos)}


def captioned_videos(folder: Path) -> dict[Path, str]:
    """Each video of the folder and the caption beside it. Raises Refused."""
    videos = videos_in(folder)
    if not videos:
        raise Refused(f"--clips: {folder} has no video ({', '.join(sorted(SUFFIXES))})")
    uncaptioned = [video.name for video in videos if not caption_of(video).is_file()]
    if uncaptioned:
        raise Refused(
            f"--clips: {', '.join(uncaptioned[:5])} without a caption: put what it shows into a text file of the same "
            f"name, such as {caption_of(Path(uncaptioned[0]))}"
        )
    return {video: _read(caption_of(video)) for video in videos}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise Refused(f"--clips: {file.name} cannot be read as text ({problem}): save it as UTF-8") from problem


def read_windows(file: Path, frames: int, every: int, width: int, height: int) -> Iterator[torch.Tensor]:
    """All runs of `frames` frames, `every` frames apart, that follow each other in the video: [frames, height, width,
    3], upright and cropped to this size. No more is held than one of them. Raises Refused.
    """
    pictures = _pictures(file, every)
    while True:
        window = torch.empty(frames, height, width, 3)
        for place in window:
            picture = next(pictures, None)
            if picture is None:
                return
            place.copy_(resize(picture[None], width, height, "crop")[0])
        yield window


def _pictures(file: Path, every: int) -> Iterator[torch.Tensor]:
    """Every n-th frame as it is shown: [h, w, 3]."""
    try:
        with av.open(str(file)) as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise Refused(f"--clips: {file.name} has no picture that can be read: take it out of the folder")
            turns = None
            for frame in islice(container.decode(video=0), 0, None, every):
                turns = quarter_turns(frame) if turns is None else turns
                yield upright(frame, turns)
    except (av.error.FFmpegError, OSError) as problem:
        # What can be decoded of it would be learned with its gaps.
        raise Refused(
            f"--clips: {file.name} cannot be read ({problem}): take it out of the folder, or convert it to MP4 (H.264)"
        ) from problem
