"""The reference's sampling loops through the host's own sampling path: MODEL, SIGMAS, SAMPLER, recorded noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.sample
import comfy.samplers
import torch
from comfyui_seine.comfy_adapter import keyframes, loading, sampling
from safetensors.torch import load_file, save_file

LATENT_SCALE = 0.18215


def rows(video: torch.Tensor) -> torch.Tensor:
    """``[channels, frames, h, w]`` to frames as batch."""
    return video.transpose(0, 1).contiguous()


def trajectory(model: Any, method: str, case: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest differences from the recording: state x after the last step, predicted x0 at any step."""
    steps = case["timesteps"].shape[0]
    context = case["encoder_hidden_states"]
    mask = case["mask"][0, 0, :, 0, 0]
    masked_latents = rows(case["masked_video"][0]) / LATENT_SCALE
    positive, negative = (keyframes.attach([[context[i : i + 1], {}]], mask, masked_latents) for i in (0, 1))
    sigmas = sampling.seine_sigmas(model, steps)
    errors: list[float] = []
    noise = iter(case["step_noise"][:, 0]) if method == "ddpm" else iter(())

    def compare(step: int, x0: torch.Tensor, x: torch.Tensor, total: int) -> None:
        errors.append(float((x0 - rows(case["pred_xstart"][step, 0])).abs().max()))
        if step:  # what the host calls x is the state before the step, divided by sqrt(alpha_bar)
            state = x / (1 + sigmas[step] ** 2).sqrt()
            errors_x.append(float((state - rows(case["x"][step - 1, 0])).abs().max()))

    errors_x: list[float] = []
    if method == "ddpm":
        options = {"noise_sampler": lambda sigma, sigma_next: rows(next(noise))}
        sampler = comfy.samplers.KSAMPLER(sampling.sample_seine_ddpm, options)
    else:
        sampler = comfy.samplers.sampler_object("euler")
    start = rows(case["z"][0]).clone()
    final = comfy.sample.sample_custom(
        *(model, start, 8.0, sampler, sigmas, positive, negative, torch.zeros_like(start)),
        callback=compare,
        disable_pbar=True,
        seed=0,
    )
    errors_x.append(float((final * LATENT_SCALE - rows(case["final"][0])).abs().max()))
    return {"x": max(errors_x), "x0": max(errors), "steps": len(errors)}


def main(golden: str, recordings: list[str], folder: str) -> dict[str, Any]:
    source = Path(golden)
    config = (source / "tiny_a_config.json").read_text()
    file = Path(folder) / "tiny_a.safetensors"
    save_file(load_file(source / "tiny_a_unet.safetensors"), file, {"seine_config": json.dumps(json.loads(config))})
    model = loading.load_model(file)
    results = {}
    for recording in recordings:
        method = Path(recording).stem.split("_")[1]
        tensors = load_file(recording)
        for mask in sorted({key.split(".")[0] for key in tensors}):
            case = {key.removeprefix(mask + "."): value for key, value in tensors.items() if key.startswith(mask + ".")}
            results[f"{Path(recording).stem} {mask}"] = trajectory(model, method, case)
    return results
