"""How many rows the network computes at each step, with guidance in a part of the steps."""

from __future__ import annotations

from typing import Any

from comfyui_seine.comfy_adapter import guidance, loading, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder


def main() -> dict[str, Any]:
    import comfy.samplers
    import torch

    register_folder()
    model, clip, _ = loading.load_bundle(model_path("sample.safetensors"), None)
    positive, negative = ([[clip.encode_from_tokens(clip.tokenize(text)), {}]] for text in ("a red ball", ""))
    latent = {"samples": torch.zeros(4, 4, 8, 8)}
    settings = {"seed": 1, "steps": 10, "sampler_name": "ddim", "scheduler": "seine"}

    def run(start: float | None, end: float = 1.0, cfg: float = 6.0) -> tuple[list[int], torch.Tensor]:
        patched = model if start is None else guidance.in_interval(model, start, end)
        rows = []

        def counting(apply, arguments):
            rows.append(len(arguments["input"]) // 4)
            return apply(arguments["input"], arguments["timestep"], **arguments["c"])

        counted = patched.clone()
        counted.set_model_unet_function_wrapper(counting)
        result = sampling.sample(counted, positive, negative, latent, cfg=cfg, **settings)
        return rows, result["samples"]

    everywhere, whole = run(0.0)
    _, plain = run(None)
    middle, part = run(0.25, 0.75)
    _, nothing = run(1.0)
    _, unguided = run(None, cfg=1.0)
    twice = guidance.in_interval(guidance.in_interval(model, 0.0, 0.5), 0.25, 1.0)
    counted, rows = twice.clone(), []
    counted.set_model_unet_function_wrapper(
        lambda apply, a: (rows.append(len(a["input"]) // 4), apply(a["input"], a["timestep"], **a["c"]))[1]
    )
    sampling.sample(counted, positive, negative, latent, cfg=6.0, **settings)

    class Unnamed(comfy.samplers.CFGGuider):
        """A guider whose prompts have names of its own."""

    guider = Unnamed(guidance.in_interval(model, 0.0, 0.0))
    guider.inner_set_conds({"mine": positive})
    samples, refused = latent["samples"], ""
    try:
        guider.sample(samples, samples, comfy.samplers.sampler_object("euler"), torch.tensor([1.0, 0.0]))
    except ValueError as error:
        refused = str(error)
    return {
        "refused": refused,
        "everywhere": everywhere,
        "middle": middle,
        "both of two": rows,
        "everywhere is as without": torch.equal(whole, plain),
        "nowhere is close to cfg 1": float((nothing - unguided).abs().max()),
        "parts differ": float((part - plain).abs().max()),
    }
