"""LaVie's base model as a MODEL: its trajectories, what it refuses, and what the host's savers make of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comfy.samplers
import comfy.sd
import torch
from comfy.k_diffusion import sampling as k_diffusion
from comfyui_seine.comfy_adapter import keyframes, loading, merging, sampling
from comfyui_seine.comfy_adapter.films.film import FilmMaker, Settings
from comfyui_seine.nodes.film import SEINEExtendVideo, SEINEStory
from comfyui_seine.seine_model.masks import frame_mask
from safetensors.torch import load_file, save_file
from torch import Tensor

SCALE = 7.5


def rows(video: Tensor) -> Tensor:
    """``[channels, frames, h, w]`` to frames as batch."""
    return video.transpose(0, 1).contiguous()


def trajectory(model: Any, method: str, recorded: dict[str, Tensor]) -> dict[str, float]:
    """The largest difference of a state from the recording, and of the timesteps from the host's ddim_uniform."""
    schedule = model.get_model_object("model_sampling")
    expected = recorded[f"{method}.x"][:, 0]
    steps = len(expected)
    sigmas = schedule.sigmas[recorded[f"{method}.timesteps"]]
    # LaVie's ddim ends at the first timestep's noise, its ddpm without any.
    last = schedule.sigmas[:1] if method == "ddim" else torch.zeros(1)
    context = recorded["encoder_hidden_states"]
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds([[context[1:], {}]], [[context[:1], {}]])
    guider.set_cfg(SCALE)
    noise: Iterator[Tensor] = iter(recorded["ddpm.step_noise"][:, 0])
    options = {"noise_sampler": lambda sigma, sigma_next: rows(next(noise))} if method == "ddpm" else {}
    function = k_diffusion.sample_ddpm if method == "ddpm" else k_diffusion.sample_euler
    states = []
    start = rows(recorded["z"][0])

    def watched(network: Callable, x: Tensor, levels: Tensor, **given: Any) -> Tensor:
        # The host starts with noise times sigma; the recording with noise that has the variance of all timesteps.
        return function(network, start * (1 + levels[0] ** 2).sqrt(), levels, **options, **given)

    guider.sample(
        start,
        torch.zeros_like(start),
        comfy.samplers.KSAMPLER(watched),
        torch.cat((sigmas, last)),
        callback=lambda step, x0, x, total: states.append(x / (1 + sigmas[step] ** 2).sqrt()),
        disable_pbar=True,
        seed=0,
    )
    errors = [float((x - rows(expected[step])).abs().max()) for step, x in enumerate(states[1:])]
    uniform = sampling.sigmas_for(model, "ddim", "ddim_uniform", steps, 1.0)[:-1]
    return {"x": max(errors), "steps": len(states), "schedule": float((uniform / sigmas - 1).abs().max())}


def close(a: Tensor, b: Tensor) -> bool:
    return float((a - b).abs().max()) <= 1e-3 * float(b.abs().max())


def with_lora(model: Any) -> tuple[Any, int]:
    """The model with a LoRA of Stable Diffusion 1.5 on its spatial attention, and how many layers that has."""
    generator = torch.Generator().manual_seed(5)
    lora = {}
    for key, value in model.model.diffusion_model.network.state_dict().items():
        if key.endswith((".attn1.to_q.weight", ".attn2.to_v.weight")):
            name = "lora_unet_" + key.removesuffix(".weight").replace(".", "_")
            lora[f"{name}.lora_down.weight"] = torch.randn(4, value.shape[1], generator=generator)
            lora[f"{name}.lora_up.weight"] = torch.randn(value.shape[0], 4, generator=generator) * 0.1
    return comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0], len(lora) // 2


class Untouched:
    """A CLIP or VAE that nothing may be asked of."""

    def __init__(self, *names: str) -> None:
        self.__dict__ |= dict.fromkeys(names, self.asked)

    def asked(self, *_: Any) -> None:
        raise AssertionError("something was encoded")


def message(action: Callable[[], Any]) -> str:
    try:
        action()
    except ValueError as error:
        return str(error)
    return "no error"


def main(golden: str, folder: str) -> dict[str, Any]:
    source = Path(golden)
    recorded = load_file(source / "lavie_base.safetensors")
    config = json.loads((source / "tiny_a_config.json").read_text())
    tiny = load_file(source / "tiny_a_unet.safetensors")
    seine, lavie = (Path(folder) / f"{name}.safetensors" for name in ("seine", "lavie"))
    save_file(tiny, seine, {"seine_config": json.dumps(config)})
    weights = tiny | {"conv_in.weight": recorded["conv_in.weight"]}
    save_file(weights, lavie, {"seine_config": json.dumps(config | {"in_channels": 4})})
    model = loading.load_model(lavie, torch.float32)

    context = recorded["encoder_hidden_states"]
    plain = [[[row[None], {}]] for row in context]
    latent = {"samples": torch.zeros(8, 4, 5, 8)}
    settings = {"seed": 1, "steps": 2, "cfg": SCALE, "sampler_name": "ddpm", "scheduler": "ddim_uniform"}

    def run(chosen: Any, conds: list, **changes: Any) -> Tensor:
        return sampling.sample(chosen, *conds, latent, **(settings | changes))["samples"]

    def with_frames(mode: str) -> list:
        return [keyframes.attach(prompt, frame_mask(mode, 8), torch.zeros(8, 4, 5, 8)) for prompt in plain]

    saved = Path(folder) / "saved.safetensors"
    comfy.sd.save_checkpoint(str(saved), model, metadata={})
    patched, layers = with_lora(model)
    comfy.sd.save_checkpoint(f"{folder}/with_lora.safetensors", patched, metadata={})
    other = Path(folder) / "other.safetensors"
    changed = {key: value if key.endswith("freqs") else value * 1.1 for key, value in weights.items()}
    save_file(changed, other, {"seine_config": json.dumps(config | {"in_channels": 4})})
    second = loading.load_model(other, torch.float32)
    given = {
        "model": model,
        "vae": Untouched("encode", "decode"),
        "seed": 0,
        "steps": 2,
        "cfg": 2.0,
        "sampler_name": "ddim",
        "scheduler": "seine",
    }
    given |= {"window": 8, "overlap": 1}
    prompts = {"positive": plain[0], "negative": plain[1]}
    picture = {
        "clip": Untouched("tokenize", "encode_from_tokens_scheduled"),
        "images": torch.zeros(1, 64, 64, 3),
        "story": "shot 4: a",
        "negative_prompt": "",
        "fps": 8.0,
    }
    picture |= {"width": 64, "height": 64, "resize_mode": "crop"}
    longer = keyframes.attach(plain[1], torch.ones(4), torch.zeros(4, 4, 5, 8))
    film = Settings(steps=2, cfg=SCALE, sampler_name="ddim", scheduler="seine", window=8, overlap=1)

    def merged(share: float) -> Tensor:
        return run(merging.merge(model, second, dict.fromkeys(merging.PARTS, share)), plain)

    return {
        "trajectories": {method: trajectory(model, method, recorded) for method in ("ddim", "ddpm")},
        "through image to video": torch.equal(run(model, with_frames("all")), run(model, plain)),
        "reloaded": torch.equal(run(loading.load_model(saved, torch.float32), plain), run(model, plain)),
        "keyframes": message(lambda: run(model, with_frames("first1"))),
        "mask": message(lambda: run(model, plain, mask=frame_mask("first1", 8).view(8, 1, 1))),
        "film": message(lambda: FilmMaker(model, torch.zeros(1, 4, 5, 8), film, 1)),
        "mask of text to video": torch.equal(run(model, plain, mask=torch.ones(8, 1, 1)), run(model, plain)),
        "another length": message(lambda: run(model, [with_frames("all")[0], longer])),
        "extend": message(
            lambda: SEINEExtendVideo.execute(
                direction="loop", frames=4, images=torch.zeros(8, 64, 64, 3), **given, **prompts
            )
        ),
        "story": message(lambda: SEINEStory.execute(**given, **picture)),
        "lora": {
            "applied": len(patched.patches) == layers > 0,
            "acts": not close(run(patched, plain), run(model, plain)),
            "in the saved file": close(
                run(loading.load_model(Path(folder) / "with_lora.safetensors", torch.float32), plain),
                run(patched, plain),
            ),
        },
        "merged": {
            "all of one": torch.equal(merged(1.0), run(model, plain)),
            "none of it": close(merged(0.0), run(second, plain)),
        },
        "merged with SEINE": message(
            lambda: merging.merge(loading.load_model(seine), model, dict.fromkeys(merging.PARTS, 0.5))
        ),
    }
