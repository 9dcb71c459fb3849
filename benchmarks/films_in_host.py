"""Makes long films inside a ComfyUI's process, for `long_video.py` (see tools/hosting/in_host.py)."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from comfyui_seine.comfy_adapter import files, video
from comfyui_seine.comfy_adapter.decoding import decode_frames
from comfyui_seine.comfy_adapter.films.extending import clip_latents, extend
from comfyui_seine.comfy_adapter.films.film import Settings
from comfyui_seine.comfy_adapter.films.storytelling import sample_story
from comfyui_seine.nodes.loaders import SEINECheckpointLoader
from safetensors.torch import load_file, save_file
from torch import Tensor

import nodes as stock

WINDOW, OVERLAP = 16, 3


def main(task: str, model: str, weight_dtype: str = "default", **arguments: Any) -> Any:
    files.register_folder()
    loaded = SEINECheckpointLoader.execute(model, "bundled", weight_dtype).args
    return {"films": films, "story": story, "memory": memory}[task](loaded, **arguments)


def films(
    loaded: tuple,
    scenes: list[dict[str, Any]],
    pictures: str,
    target: str,
    extensions: int,
    loop: int,
    steps: int,
    cfg: float,
    kinds: Sequence[str] = ("latent", "image", "loop"),
) -> None:
    """Each scene's clip continued `extensions` times, by latents and by images, and closed by `loop` frames.

    The frames go to `target`, [scenes, frames, H, W, 3] of each of `kinds`.
    """
    model, clip, vae = loaded
    made: dict[str, list[Tensor]] = {kind: [] for kind in kinds}
    for scene, picture in zip(scenes, load_file(pictures)["first"], strict=True):
        prompts = [stock.CLIPTextEncode().encode(clip, words)[0] for words in (scene["caption"], "")]
        make = partial(_made, model, vae, prompts, steps, cfg)
        first = clip_latents(vae, None, picture[None], "latent", "images")
        start = torch.cat((first, make("after", first, WINDOW - 1, 1, scene["seed"])))
        seeds = [scene["seed"] + 1000 * number for number in range(1, extensions + 1)]
        if "latent" in kinds:
            film = start
            for seed in seeds:
                film = torch.cat((film, make("after", film, WINDOW - OVERLAP, OVERLAP, seed)))
            made["latent"].append(decode_frames(vae, film, WINDOW).half())
        if "image" in kinds:
            images = decode_frames(vae, start, WINDOW)
            for seed in seeds:
                again = clip_latents(vae, None, images[-OVERLAP:], "latent", "images")
                new = decode_frames(vae, make("after", again, WINDOW - OVERLAP, OVERLAP, seed), WINDOW)
                images = torch.cat((images, new))
            made["image"].append(images.half())
        if "loop" in kinds:
            closed = torch.cat((start, make("loop", start, loop, OVERLAP, scene["seed"])))
            made["loop"].append(decode_frames(vae, closed, WINDOW).half())
        print(scene["caption"], flush=True)
    save_file({name: torch.stack(clips) for name, clips in made.items()}, target)


def story(loaded: tuple, script: str, pictures: str, target: str, steps: int, cfg: float) -> dict[str, str]:
    """A film of pictures [shots, H, W, 3]; `target`: its frames, and the pictures through the VAE."""
    model, clip, vae = loaded
    images = load_file(pictures)["first"]
    size = (images.shape[2], images.shape[1])
    settings = Settings(steps, cfg, "ddim", "seine", WINDOW, OVERLAP)
    latents, timeline = sample_story(model, clip, vae, {"images": images}, script, "", 8.0, size, "crop", 0, settings)
    decoded = {"film": decode_frames(vae, latents, WINDOW), "pictures": vae.decode(vae.encode(images))}
    save_file({name: frames.contiguous() for name, frames in decoded.items()}, target)
    return {"timeline": timeline}


def _made(
    model: Any,
    vae: Any,
    prompts: list,
    steps: int,
    cfg: float,
    direction: str,
    known: Tensor,
    frames: int,
    overlap: int,
    seed: int,
) -> Tensor:
    settings = Settings(steps, cfg, "ddim", "seine", WINDOW, overlap)
    return extend(model, vae, *prompts, direction, known, None, frames, seed, settings)


def memory(loaded: tuple, frames: int, width: int, height: int, steps: int) -> dict[str, float]:
    """Peak memory in MB beyond that of one window and one decoded chunk, and seconds, of a film's stages."""
    model, clip, vae = loaded
    # As on a GPU, and it takes half the time. The frames that come out are float32 all the same.
    vae.vae_dtype = torch.bfloat16
    vae.first_stage_model.to(torch.bfloat16)
    prompt = stock.CLIPTextEncode().encode(clip, "")[0]
    settings = Settings(steps, 1.0, "ddim", "seine", WINDOW, OVERLAP)  # guidance would only take longer
    start = torch.randn(WINDOW, 4, height // 8, width // 8, generator=torch.Generator().manual_seed(0))
    # The allocator's reserves, which come and go by tens of MB, reach their largest in the first few windows.
    extend(model, vae, prompt, prompt, "after", start, None, 4 * (WINDOW - OVERLAP), 0, settings)
    with tempfile.TemporaryDirectory() as folder:
        video.latent_video(vae, start, 8.0, 8).save_to(str(Path(folder) / "warm.mp4"))
        base, report = _peak(), {}
        began = time.monotonic()
        new = extend(model, vae, prompt, prompt, "after", start, None, frames - WINDOW, 1, settings)
        film = torch.cat((start, new))
        report["sampled"], report["sampling seconds"] = _peak() - base, time.monotonic() - began
        began = time.monotonic()
        video.latent_video(vae, film, 8.0, 8).save_to(str(Path(folder) / "film.mp4"))
        report["written"], report["writing seconds"] = _peak() - base, time.monotonic() - began
    images = decode_frames(vae, film, 8)
    report["output"] = images.numel() * images.element_size() / 1e6
    report["decoded"] = _peak() - base
    return report


def _peak() -> float:
    """MB. The system counts in kilobytes, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
