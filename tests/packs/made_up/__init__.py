"""Nodes of the tests alone: small ControlNets and image encoders with made-up weights, which no file format has."""

from __future__ import annotations

from typing import Any

import comfy.cldm.cldm
import comfy.clip_vision
import comfy.controlnet
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
    CATEGORY = "tests"

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
    CATEGORY = "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def make(self) -> tuple[Any]:
        encoder = comfy.clip_vision.ClipVisionModel(IMAGE_ENCODER)
        made_up(encoder.model, 2, 0.2)
        return (encoder,)


NODE_CLASS_MAPPINGS = {"MadeUpControlNet": MadeUpControlNet, "MadeUpImageEncoder": MadeUpImageEncoder}
