"""A pack of nodes for tests and for the compatibility page: small models with made-up weights, which no file has."""

from __future__ import annotations

from typing import Any

import comfy.cldm.cldm
import comfy.clip_vision
import comfy.controlnet
import comfy.gligen
import comfy.model_patcher
import comfy.sd
import comfy.t2i_adapter.adapter
import torch

IMAGE_ENCODER = {
    "hidden_act": "quick_gelu",
    "hidden_size": 32,
    "image_size": 224,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-5,
    "model_type": "clip_vision_model",
    "num_attention_heads": 2,
    "num_channels": 3,
    "num_hidden_layers": 3,
    "patch_size": 56,
    "projection_dim": 24,
}


def made_up(module: torch.nn.Module, seed: int, scale: float) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(value.shape, generator=generator) * scale if value.is_floating_point() else value
        for name, value in module.state_dict().items()
    }
    module.load_state_dict(weights)
    return module.eval()


class MadeUpControlNet:
    """A ControlNet of Stable Diffusion 1.x's layout, of the widths and depths of a SEINE MODEL."""

    RETURN_TYPES = ("CONTROL_NET",)
    FUNCTION = "make"
    CATEGORY = "made up"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",)}}

    def make(self, model: Any) -> tuple[Any]:
        settings = model.model.model_config.unet_config
        config = settings["config"]
        network = comfy.cldm.cldm.ControlNet(
            image_size=32,
            in_channels=4,
            hint_channels=3,
            model_channels=config.block_out_channels[0],
            num_res_blocks=list(settings["num_res_blocks"]),
            channel_mult=list(settings["channel_mult"]),
            transformer_depth=list(settings["transformer_depth"]),
            transformer_depth_middle=settings["transformer_depth_middle"],
            num_heads=config.attention_head_dim,
            context_dim=config.cross_attention_dim,
            use_spatial_transformer=True,
            operations=comfy.ops.manual_cast,
        )
        return (comfy.controlnet.ControlNet(made_up(network, 1, 0.05), load_device=torch.device("cpu")),)


class MadeUpImageEncoder:
    """A CLIP image encoder of three narrow layers."""

    RETURN_TYPES = ("CLIP_VISION",)
    FUNCTION = "make"
    CATEGORY = "made up"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def make(self) -> tuple[Any]:
        encoder = comfy.clip_vision.ClipVisionModel(IMAGE_ENCODER)
        made_up(encoder.model, 2, 0.2)
        return (encoder,)


class MadeUpGligen:
    """A GLIGEN of Stable Diffusion 1.x's layout, of the widths and depths of a SEINE MODEL."""

    RETURN_TYPES = ("GLIGEN",)
    FUNCTION = "make"
    CATEGORY = "made up"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",)}}

    def make(self, model: Any) -> tuple[Any]:
        text = model.model.model_config.unet_config["config"].cross_attention_dim
        layers = model.model.diffusion_model.named_modules()
        found = {name: layer.in_features for name, layer in layers if name.endswith("attn1.to_q")}
        order = {"input_blocks": 0, "middle_block": 1, "output_blocks": 2}
        widths = [found[name] for name in sorted(found, key=lambda name: (order[name.split(".")[0]], _number(name)))]
        fusers = [comfy.gligen.GatedSelfAttentionDense(width, text, 1, width) for width in widths]
        network = comfy.gligen.Gligen(fusers, comfy.gligen.PositionNet(text, text), text)
        return (comfy.model_patcher.ModelPatcher(made_up(network, 3, 0.2), *[torch.device("cpu")] * 2),)


def _number(name: str) -> int:
    return int(name.split(".")[1])


class MadeUpStyleModel:
    """A style adapter of T2I-Adapter's layout, from the made-up image encoder to prompts as wide as a SEINE MODEL's."""

    RETURN_TYPES = ("STYLE_MODEL",)
    FUNCTION = "make"
    CATEGORY = "made up"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",)}}

    def make(self, model: Any) -> tuple[Any]:
        text = model.model.model_config.unet_config["config"].cross_attention_dim
        adapter = comfy.t2i_adapter.adapter.StyleAdapter(IMAGE_ENCODER["hidden_size"], text, num_head=2, n_layes=1)
        return (comfy.sd.StyleModel(made_up(adapter, 4, 0.2)),)


class MadeUpLora:
    """The content of a LoRA file for one layer of a SEINE MODEL, as core's Train LoRA gives it."""

    RETURN_TYPES = ("LORA_MODEL",)
    FUNCTION = "make"
    CATEGORY = "made up"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",)}}

    def make(self, model: Any) -> tuple[Any]:
        width = model.model.model_config.unet_config["config"].block_out_channels[0]
        layer, generator = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q", torch.Generator()
        parts = {"up": torch.randn(width, 2, generator=generator), "down": torch.randn(2, width, generator=generator)}
        return ({f"{layer}.lora_{part}.weight": value for part, value in parts.items()},)


class MadeUpFloats:
    """Three numbers, as other packs give them to core's hook keyframes."""

    RETURN_TYPES = ("FLOATS",)
    FUNCTION = "make"
    CATEGORY = "made up"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def make(self) -> tuple[Any]:
        return ([1.0, 0.5, 0.25],)


NODE_CLASS_MAPPINGS = {
    each.__name__: each
    for each in (MadeUpControlNet, MadeUpImageEncoder, MadeUpGligen, MadeUpStyleModel, MadeUpLora, MadeUpFloats)
}
