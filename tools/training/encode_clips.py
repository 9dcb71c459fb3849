"""Encodes a folder of captioned clips for training; runs inside a ComfyUI's process (see in_host.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import torch
from comfyui_seine.comfy_adapter import loading
from comfyui_seine.comfy_adapter.keyframes import encode_gray
from comfyui_seine.comfy_adapter.model import SeineModelConfig
from comfyui_seine.seine_model.checkpoint import CheckpointError
from comfyui_seine.seine_model.preprocessing import resize
from comfyui_seine.tools.training.latent_clips import LatentClips

SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif"}


class Refused(ValueError):
    """Clips that cannot be used; the message says which and why."""


def main(
    checkpoint: str, base: str | None, clips: str, frames: int, every: int, width: int, height: int, target: str
) -> dict[str, Any]:
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
            windows = read_windows(file, frames, every)
            if not windows:
                raise Refused(f"--clips: {file.name} is shorter than {frames * every} frames")
            for window in windows:
                pixels = resize(window, width, height, "crop")
                latents.append(encode(pixels).half())
                contexts.append(context(caption).half())
        gray = scale(encode_gray(vae, width, height).cpu().float())
        data = LatentClips(torch.stack(latents), torch.stack(contexts), gray, context(""))
        data.save(Path(target))
    except (Refused, CheckpointError) as problem:
        return {"refused": str(problem)}
    return {"clips": len(latents), "videos": len(videos)}


def captioned_videos(folder: Path) -> dict[Path, str]:
    """Each video of the folder and the caption beside it. Raises Refused."""
    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not videos:
        raise Refused(f"--clips: {folder} has no video ({', '.join(sorted(SUFFIXES))})")
    uncaptioned = [video.name for video in videos if not video.with_suffix(".txt").is_file()]
    if uncaptioned:
        raise Refused(
            f"--clips: {', '.join(uncaptioned[:5])} without a caption: put what it shows into a text file of the same "
            f"name, such as {Path(uncaptioned[0]).stem}.txt"
        )
    return {video: video.with_suffix(".txt").read_text(encoding="utf-8").strip() for video in videos}


def read_windows(file: Path, frames: int, every: int) -> list[torch.Tensor]:
    """All runs of `frames` frames, `every` frames apart, that follow each other in the video: [frames, h, w, 3]."""
    with av.open(str(file)) as container:
        pictures = [
            torch.from_numpy(frame.to_ndarray(format="rgb24"))
            for index, frame in enumerate(container.decode(video=0))
            if index % every == 0
        ]
    starts = range(0, len(pictures) - frames + 1, frames)
    return [torch.stack(pictures[start : start + frames]).float() / 255 for start in starts]
