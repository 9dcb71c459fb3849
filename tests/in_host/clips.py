"""Encodes folders of clips for training, and counts what of their videos is held meanwhile."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import torch
from comfy_api.v0_0_2 import InputImpl
from comfyui_seine.tools.training import encode_clips
from comfyui_seine.tools.training.latent_clips import LatentClips

FRAMES, WIDTH, HEIGHT = 4, 48, 64


class Held:
    """How many of the results of a function are alive at once, at most."""

    def __init__(self) -> None:
        self._alive: list[weakref.ref] = []
        self.made = self.most = 0

    def noted(self, value: torch.Tensor) -> torch.Tensor:
        self._alive = [each for each in self._alive if each() is not None] + [weakref.ref(value)]
        self.made, self.most = self.made + 1, max(self.most, len(self._alive))
        return value

    def counting(self, function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda *arguments: self.noted(function(*arguments))


def main(checkpoint: str, long: str, turned: str, drawn: str, refused: list[str], folder: str) -> dict[str, Any]:
    """long, refused: folders of clips; turned, drawn: videos."""
    av.logging.set_level(av.logging.ERROR)

    def encoded(clips: str, name: str) -> dict[str, Any]:
        target = str(Path(folder) / name)
        return encode_clips.main(checkpoint, None, clips, FRAMES, 1, WIDTH, HEIGHT, target, {})

    report: dict[str, Any] = {"refused": [encoded(each, "none.safetensors").get("refused") for each in refused]}
    report["captions"] = list(encode_clips.captioned_videos(Path(long)).values())
    shown = InputImpl.VideoFromFile(turned).get_components().images
    windows = list(encode_clips.read_windows(Path(turned), FRAMES, 1, WIDTH, HEIGHT))
    report["turned"] = [list(shown.shape), len(windows), float((torch.cat(windows) - shown).abs().max())]
    own = list(encode_clips.read_windows(Path(turned), FRAMES, 2, WIDTH, HEIGHT))
    report["every other"] = [len(own), float((torch.cat(own) - shown[::2][: 2 * FRAMES]).abs().max())]
    (gif,) = encode_clips.read_windows(Path(drawn), FRAMES, 1, WIDTH, HEIGHT)
    report["drawn"] = [list(gif.shape), float(gif.std())]

    pictures, resized, read = Held(), Held(), Held()
    encode_clips.upright = pictures.counting(encode_clips.upright)
    encode_clips.resize = resized.counting(encode_clips.resize)
    reader = encode_clips.read_windows
    encode_clips.read_windows = lambda *arguments: map(read.noted, reader(*arguments))
    report["encoded"] = encoded(long, "long.safetensors")
    report["latents"] = list(LatentClips.load(Path(folder) / "long.safetensors").latents.shape)
    report["made"] = [each.made for each in (pictures, resized, read)]
    report["most"] = [each.most for each in (pictures, resized, read)]
    return report
