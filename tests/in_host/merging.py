"""Two models merged by parts, beside files that were merged by hand; and core's ScaleROPE."""

from __future__ import annotations

from typing import Any

import torch
from comfy_extras.nodes_model_merging import ModelMergeBlocks
from comfyui_seine.comfy_adapter import keyframes, loading, merging, sampling
from comfyui_seine.comfy_adapter.files import model_path, register_folder
from comfyui_seine.comfy_adapter.host_names import HostNames, unet_layout
from comfyui_seine.seine_model.checkpoint import infer_config, read_checkpoint, strip_prefix
from comfyui_seine.seine_model.masks import frame_mask
from safetensors.torch import save_file

from nodes import CLIPTextEncode

FRAMES, SIZE = 4, 8
PREFIX = "model.diffusion_model."
TEMPORAL = ("attn_temp.to_q.weight", "attn_temp.to_out.0.bias", "norm_temp.weight")


def main() -> dict[str, Any]:
    register_folder()
    bundle = model_path("sample.safetensors")
    tensors, metadata = read_checkpoint(bundle)
    generator = torch.Generator().manual_seed(0)

    def changed(key: str, value: torch.Tensor) -> torch.Tensor:
        return value * 1.1 if key.startswith(PREFIX) and not key.endswith("freqs") else value

    other = {key: changed(key, value) for key, value in tensors.items()}
    temporal = [key for key in tensors if any(part in key for part in ("attn_temp", "norm_temp"))]
    mixed = tensors | {key: other[key] for key in temporal}
    unet = strip_prefix(tensors, PREFIX)
    names = HostNames(unet_layout(infer_config(tensors, metadata))).to_host({key: key for key in unet})
    first_half = [key for name, key in names.items() if not name.startswith(("middle", "out"))]
    halves = tensors | {PREFIX + key: other[PREFIX + key] for key in first_half}
    paths = {}
    for name, weights in (("other", other), ("mixed", mixed), ("halves", halves)):
        paths[name] = bundle.with_name(f"{name}.safetensors")
        save_file({key: value.contiguous() for key, value in weights.items()}, paths[name], metadata)

    model, clip, _ = loading.load_bundle(bundle, None, torch.float32)
    prompts = [CLIPTextEncode().encode(clip, text)[0] for text in ("a red ball", "")]
    given = torch.randn(FRAMES, 4, SIZE, SIZE, generator=generator)
    conds = [keyframes.attach(prompt, frame_mask("first1", FRAMES), given) for prompt in prompts]
    settings = {"seed": 1, "steps": 3, "cfg": 3.0, "sampler_name": "ddim", "scheduler": "seine"}

    def run(chosen: Any) -> torch.Tensor:
        return sampling.sample(chosen, *conds, {"samples": torch.zeros(FRAMES, 4, SIZE, SIZE)}, **settings)["samples"]

    second, by_hand, by_blocks = (loading.load_model(path, torch.float32) for path in paths.values())
    expected = {
        name: run(each) for name, each in (("one", model), ("two", second), ("temporal", by_hand), ("input", by_blocks))
    }

    def difference(shares: tuple[float, ...], name: str) -> float:
        merged = merging.merge(model, second, dict(zip(merging.PARTS, shares, strict=True)))
        return float((run(merged) - expected[name]).abs().max() / expected[name].std())

    def scaled(**changes: float) -> Any:
        chosen = model.clone()
        neutral = {f"scale_{axis}": 1.0 for axis in "xyt"} | {f"shift_{axis}": 0.0 for axis in "xyt"}
        chosen.set_model_rope_options(**(neutral | changes))
        return chosen

    def message(action: Any) -> str:
        try:
            action()
        except ValueError as error:
            return str(error)
        return "no error"

    class Foreign:
        model = object()

    shares = dict.fromkeys(merging.PARTS, 1.0)
    return {
        "apart": float((expected["one"] - expected["two"]).abs().max() / expected["one"].std()),
        "all of one": difference((1, 1, 1, 1), "one"),
        "all of two": difference((0, 0, 0, 0), "two"),
        "temporal of two": difference((1, 1, 1, 0), "temporal"),
        "spatial of two": difference((0, 0, 0, 1), "two"),
        "core's sliders": {
            name: float((run(blocks) - expected[of]).abs().max() / expected[of].std())
            for name, of, blocks in (
                ("input", "input", ModelMergeBlocks().merge(model, second, input=0.0, middle=1.0, out=1.0)[0]),
                ("all", "two", ModelMergeBlocks().merge(model, second, input=0.0, middle=0.0, out=0.0)[0]),
            )
        },
        "input of two is not all of it": float((expected["input"] - expected["two"]).abs().max()),
        "parts": {
            part: sum(merging.part_of(key) == part for key in model.model.diffusion_model.state_dict())
            for part in merging.PARTS
        },
        "foreign": message(lambda: merging.merge(model, Foreign(), shares)),
        "share": message(lambda: merging.merge(model, second, shares | {"middle": float("nan")})),
        "rope as it is": torch.equal(run(scaled()), expected["one"]),
        "rope over frames": float((run(scaled(scale_t=0.5)) - expected["one"]).abs().max() / expected["one"].std()),
        "rope of pixels": message(lambda: run(scaled(scale_x=2.0))),
    }
