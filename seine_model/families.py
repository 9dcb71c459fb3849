"""Which network a table of weights belongs to, by its keys."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from .config import KEYFRAME_CHANNELS, TEXT_ONLY_CHANNELS
from .file_kinds import CheckpointError

_INTERPOLATION_CHANNELS = 8
_SD1_CONTEXT = 768


def refuse_other_models(state_dict: Mapping[str, Tensor]) -> None:
    """CheckpointError that says what the weights are, where a SEINE UNet is not among them."""
    kind = _other_model(state_dict)
    if kind:
        raise CheckpointError(
            f"This file is not a SEINE UNet but {kind}. Choose the published seine.pt or a conversion."
        )


def _other_model(state_dict: Mapping[str, Tensor]) -> str | None:
    keys = list(state_dict)

    def has(*parts: str) -> bool:
        return any(part in key for key in keys for part in parts)

    if has("controlnet_", "control_model.", "input_hint_block."):
        return "a ControlNet: load it with ControlNet's own loader"
    if any(re.search(r"(lora_(up|down|A|B)|lora\.(up|down)|hada_w1_a|lokr_w1)\b", key) for key in keys):
        return "a LoRA: load it with LoraLoaderModelOnly behind the SEINE loader"
    if has("attn_temp."):
        return _relative(state_dict)
    if has("temporal_transformer_blocks.", "time_stack.", "time_mixer."):
        return "Stable Video Diffusion: load it with ComfyUI's own nodes for it"
    if has("down_temporal_blocks.", "up_temporal_blocks.", "mid_temporal_block.", "resblock_temporal."):
        return "LaVie's video upscaler, a model of its own: use ComfyUI's own nodes for SeedVR2, or an upscale model"
    if has("motion_modules."):
        return "an AnimateDiff motion module: it goes with AnimateDiff's own nodes"
    if any(key.startswith("input_blocks.") or ".input_blocks." in key for key in keys):
        if has("label_emb.") or _text_widths(state_dict) - {_SD1_CONTEXT}:
            return "Stable Diffusion XL, 2 or another of its kin, of which no part fits SEINE"
        return "a Stable Diffusion checkpoint: use it as the base of Load SEINE Checkpoint"
    if any(key.startswith("down_blocks.") for key in keys):
        if _text_widths(state_dict) == {_SD1_CONTEXT} and not has("add_embedding."):
            return (
                "Stable Diffusion 1.x's UNet of a diffusers folder, which makes single images: the folder itself, in "
                "models/diffusers, can be the base of Load SEINE Checkpoint"
            )
        return "an image UNet without SEINE's temporal attention"
    if has("double_blocks.", "joint_blocks.", "transformer_blocks.", "single_blocks.", "blocks.0.self_attn."):
        return "a diffusion transformer, a model of another kind"
    if has("text_model.encoder.layers.", "text_model.embeddings."):
        return "a text encoder: its place is in models/text_encoders"
    if has("encoder.down", "decoder.up", "taesd_decoder."):
        return "a VAE: its place is in models/vae"
    return f"something else (it begins with {', '.join(key[:60] for key in sorted(keys)[:3]) or 'no tensors at all'})"


def _text_widths(state_dict: Mapping[str, Tensor]) -> set[int]:
    return {value.shape[-1] for key, value in state_dict.items() if key.endswith("attn2.to_k.weight") and value.ndim}


def _relative(state_dict: Mapping[str, Tensor]) -> str | None:
    """SEINE has the network of LaVie's base model, which is read too; others were made of it as well."""
    keys = list(state_dict)
    if any(part in key for key in keys for part in (".cross_attn_temp.", "_ip.", ".ip_", "image_proj_model.")):
        return "ShowMaker, the video model of Vlogger, which wants a reference picture"
    first = state_dict.get("conv_in.weight", state_dict.get("model.diffusion_model.conv_in.weight"))
    channels = first.shape[1] if first is not None and first.ndim == 4 else None
    # The published interpolation model has no positions of frames at all; its code can give it embeddings of distances.
    positions = any("time_rel_pos_bias." in key for key in keys)
    if any("distance_embedding." in key for key in keys) or (channels == _INTERPOLATION_CHANNELS and not positions):
        return (
            "LaVie's interpolation model, which puts frames between those of a clip: use ComfyUI's own frame "
            "interpolation"
        )
    if channels in (None, KEYFRAME_CHANNELS, TEXT_ONLY_CHANNELS):
        return None
    return (
        f"another video model's UNet: it reads {channels} channels, SEINE reads {KEYFRAME_CHANNELS} (noisy latents, "
        "mask, kept frames)"
    )
