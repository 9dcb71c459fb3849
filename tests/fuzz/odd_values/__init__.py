"""Nodes that only the fuzz test's server has: one gives any value on any wire, one looks at what comes out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import torch
from torch import Tensor

FILLS = {
    "plain": lambda values: values,
    "zero": lambda values: values * 0,
    "nan": lambda values: values + float("nan"),
    "inf": lambda values: values + float("inf"),
    "minus inf": lambda values: values - float("inf"),
    "huge": lambda values: values * 1e30,
    "x255": lambda values: values * 255,
    "negative": lambda values: -5 * values - 1,
    "one nan": lambda values: (
        values.flatten().index_fill(0, torch.tensor(0), float("nan")).view_as(values) if values.numel() else values
    ),
}
SMALL_UNET = {
    **{"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "num_res_blocks": [1, 1]},
    **{"channel_mult": [1, 2], "transformer_depth": [1, 0], "transformer_depth_middle": 0, "num_heads": 1},
    **{"transformer_depth_output": [1, 1, 0, 0], "use_spatial_transformer": True, "context_dim": 64, "legacy": False},
    **{"adm_in_channels": None, "use_linear_in_transformer": False, "use_temporal_attention": False},
}


def tensor(recipe: Mapping[str, Any]) -> Tensor:
    dtype = getattr(torch, recipe["dtype"])
    values = torch.rand(recipe["shape"], generator=torch.Generator().manual_seed(0))
    values = FILLS[recipe["fill"]](values)
    return values.to(dtype) if dtype.is_floating_point else values.nan_to_num().clamp(0, 255).to(dtype)


def made(recipe: Any) -> Any:
    """The value that a recipe describes: plain JSON but for objects, whose key says what they are."""
    if isinstance(recipe, list):
        return [made(part) for part in recipe]
    if not isinstance(recipe, Mapping):
        return recipe
    if "shape" in recipe:
        return tensor(recipe)
    if "dict" in recipe:
        return {key: made(part) for key, part in recipe["dict"].items()}
    return OBJECTS[recipe["object"]]()


def stable_diffusion() -> Any:
    """The host's own MODEL of Stable Diffusion 1.x, small and with the weights it happens to have."""
    config = comfy.supported_models.SD15(SMALL_UNET)
    config.set_inference_dtype(torch.float32, None)
    model = _with_weights(comfy.model_base.BaseModel(config))
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


def wide_clip() -> Any:
    """A CLIP whose embeddings are 128 wide, as those of another family are."""
    geometry = {
        **{"hidden_act": "gelu", "hidden_size": 128, "intermediate_size": 128, "num_attention_heads": 2},
        **{"num_hidden_layers": 1, "max_position_embeddings": 77, "vocab_size": 49408, "eos_token_id": 49407},
    }
    encoder = partial(comfy.sd1_clip.SDClipModel, textmodel_json_config=geometry)
    tokenizer = partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=partial(comfy.sd1_clip.SDTokenizer, embedding_size=128))
    target = comfy.supported_models_base.ClipTarget(tokenizer, comfy.sd1_clip.SD1ClipModel)
    target.params = {"clip_model": encoder}
    clip = comfy.sd.CLIP(target)
    _with_weights(clip.cond_stage_model)
    return clip


def tiny_vae(channels: int, fill: float = 0.01) -> Any:
    """A TAESD of so many latent channels."""
    import comfy.taesd.taesd

    weights = comfy.taesd.taesd.TAESD(latent_channels=channels).state_dict()
    return comfy.sd.VAE(sd={key: torch.full_like(value, fill) for key, value in weights.items()})


OBJECTS = {
    "stable diffusion": stable_diffusion,
    "wide clip": wide_clip,
    "16 channel vae": partial(tiny_vae, 16),
    "nan vae": partial(tiny_vae, 4, float("nan")),
    "pixel vae": lambda: comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)}),
    "empty vae": lambda: comfy.sd.VAE(sd={}),
    "euler": lambda: comfy.samplers.sampler_object("euler"),
    "object": object,
    "end of the server": lambda: os._exit(3),
}


def _with_weights(model: Any) -> Any:
    for weight in model.parameters():
        torch.nn.init.normal_(weight.data, std=0.02)
    return model


def problems(value: Any, where: str) -> list[str]:
    """What is not finite in an output, and what is no output at all."""
    if isinstance(value, Tensor):
        for dim, stride in enumerate(value.stride()):
            value = value.narrow(dim, 0, 1) if not stride and value.shape[dim] else value
        bad = not torch.isfinite(value).all() if value.is_floating_point() else False
        return [f"{where}: values that are not finite in {list(value.shape)}"] if bad else []
    if isinstance(value, float):
        return [] if abs(value) < float("inf") else [f"{where}: {value}"]
    if isinstance(value, Mapping):
        return [found for key, part in value.items() for found in problems(part, f"{where}.{key}")]
    if isinstance(value, list | tuple):
        return [found for index, part in enumerate(value) for found in problems(part, f"{where}[{index}]")]
    if hasattr(value, "get_components"):
        components = value.get_components()
        same = len(components.images) == value.get_frame_count()
        wrong = [] if same else [f"{where}: a video of {value.get_frame_count()} frames has {len(components.images)}"]
        with tempfile.TemporaryDirectory() as folder:
            value.save_to(str(Path(folder) / "video.mp4"))
        return wrong + problems(components.images, where)
    return []


class OddValue:
    RETURN_TYPES = ("*",)
    FUNCTION = "run"
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"recipe": ("STRING", {})}}

    def run(self, recipe: str) -> tuple:
        return (made(json.loads(recipe)),)


class LookAt:
    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "tests"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"optional": {f"output{index}": ("*", {}) for index in range(4)}}

    def run(self, **outputs: Any) -> dict:
        missing = [f"{name}: nothing" for name, value in outputs.items() if value is None]
        return {
            "ui": {"problems": missing + [found for pair in outputs.items() for found in problems(pair[1], pair[0])]}
        }


NODE_CLASS_MAPPINGS = {"FuzzOddValue": OddValue, "FuzzLookAt": LookAt}
