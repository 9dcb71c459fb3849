"""Makes clips with the nodes inside a ComfyUI's process, for `small_model.py` (see tools/hosting/in_host.py)."""

from __future__ import annotations

import statistics
import time
from typing import Any

import comfy.cli_args
import comfy.sd
import torch
from comfyui_seine.comfy_adapter import files
from comfyui_seine.comfy_adapter.guidance import in_interval
from comfyui_seine.comfy_adapter.keyframes import MASK
from comfyui_seine.nodes.camera import SEINECamera
from comfyui_seine.nodes.conditioning import SEINEImageToVideo, SEINESoftKeyframes
from comfyui_seine.nodes.decode import SEINEVAEDecode
from comfyui_seine.nodes.loaders import SEINECheckpointLoader
from comfyui_seine.nodes.mask import SEINEMaskBuilder
from comfyui_seine.nodes.motion import SEINEMotion
from comfyui_seine.nodes.sampling import SEINEKSampler
from safetensors.torch import load_file, save_file

import nodes as stock

MODES = {"image to video": "first frames", "transition": "first and last frames", "text to video": "text to video"}


def main(
    scenes: list[dict[str, Any]], pictures: str, runs: list[dict[str, Any]], frames: int, bf16_vae: bool = False
) -> list[float]:
    """Each run's clips go to its `target`; returns how long each run's middle clip took, in s, from
    its prompts to its frames.

    pictures: a .safetensors file with "first" and "last" [scenes, H, W, 3]. bf16_vae: as ComfyUI's flag of that name.
    """
    comfy.cli_args.args.bf16_vae = bf16_vae
    files.register_folder()
    images = load_file(pictures)
    loaded: dict[tuple[str, str], tuple] = {}
    seconds = []
    for run in runs:
        file = (run["model"], run.get("weight_dtype", "default"))
        if file not in loaded:
            loaded.clear()
            loaded[file] = SEINECheckpointLoader.execute(file[0], "bundled", file[1]).args
        model, *others = loaded[file]
        if "lora" in run:
            model = comfy.sd.load_lora_for_models(model, None, load_file(run["lora"]), 1.0, 0.0)[0]
        clips, took = [], []
        for index, scene in enumerate(scenes[: run["scenes"]]):
            first, last = images["first"][index : index + 1], images["last"][index : index + 1]
            began = time.monotonic()
            clips.append(make((model, *others), run, scene, first, last, frames))
            took.append(time.monotonic() - began)
        made = {
            "clips": torch.stack(clips).half(),
            "reconstructed": reconstructed(loaded[file][2], images, run["scenes"]),
        }
        save_file(made, run["target"])
        seconds.append(statistics.median(took))
        print(f"{run['name']}: {seconds[-1]:.2f} s per clip", flush=True)
    return seconds


def make(
    loaded: tuple, run: dict[str, Any], scene: dict[str, Any], first: torch.Tensor, last: torch.Tensor, frames: int
) -> torch.Tensor:
    """One clip, [frames, H, W, 3]."""
    model, clip, vae = loaded
    height, width = first.shape[1:3]
    keyframes = {"image to video": first, "transition": torch.cat((first, last)), "text to video": None}[run["task"]]
    (mask,) = SEINEMaskBuilder.execute(MODES[run["task"]], 1, "", frames, width, height).args
    (positive,) = stock.CLIPTextEncode().encode(clip, scene[run.get("prompt", "caption")])
    # Without guidance nobody reads a negative prompt.
    (negative,) = stock.CLIPTextEncode().encode(clip, "") if run["cfg"] != 1 else (positive,)
    positive, negative, latent = SEINEImageToVideo.execute(
        positive, negative, vae, width, height, "stretch", 1, mask=mask, keyframes=keyframes
    ).args
    if run.get("inverted"):
        positive, negative = ([[e, o | {MASK: 1 - o[MASK]}] for e, o in cond] for cond in (positive, negative))
    if "soft" in run:
        positive, negative = SEINESoftKeyframes.execute(positive, negative, run["soft"], "-1").args
    if "camera" in run:
        positive, negative = SEINECamera.execute(positive, negative, vae, **run["camera"]).args
    if "guided" in run:
        model = in_interval(model, *run["guided"])
    if "dials" in run:
        (model,) = SEINEMotion.execute(model, **run["dials"]).args
    if run.get("cache"):
        from comfy_extras.nodes_easycache import EasyCacheNode

        model = EasyCacheNode.execute(model, run["cache"], 0.15, 0.95, False).args[0]
    settings = {name: run[name] for name in ("steps", "cfg", "sampler_name", "scheduler")}
    (samples,) = SEINEKSampler.execute(
        model, positive, negative, latent, seed=scene["seed"], denoise=1.0, **settings
    ).args
    return SEINEVAEDecode.execute(samples, vae, frames, False, 512).args[0]


def reconstructed(vae: Any, images: dict[str, torch.Tensor], scenes: int) -> torch.Tensor:
    """The first and last pictures after the VAE alone, [2, scenes, H, W, 3]."""
    return torch.stack([vae.decode(vae.encode(images[name][:scenes])) for name in ("first", "last")]).half()
