"""The host's `control` residuals and `transformer_options` patches, as hooks of the UNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..seine_model.hooks import Hooks
from ..seine_model.layers import Attention
from ..seine_model.temporal import FramePositions, TemporalAttention

TEMPORAL_PATCH = "attn_temp"
"""SEINE's own patch point: ``transformer_options["patches_replace"]["attn_temp"][block]`` is called with
``(attention module, x [videos, pixels, frames, width], positions, extra_options)`` and returns a tensor like x."""
_REPLACED = {"attn1", "attn2", TEMPORAL_PATCH}
_PATCHED = {
    *(f"{name}_{kind}" for name in ("attn1", "attn2") for kind in ("patch", "output_patch")),
    *("middle_patch", "emb_patch", "middle_block_after_patch"),
    *(f"{place}_block_patch" for place in ("input", "output")),
    "input_block_patch_after_skip",
}
"""Patch points that this network has; the host has others, of other networks."""
_FOREIGN_PATCHES = {"post_input", "double_block", "noise_refiner", "mlp_patch", "dit"}
"""Patch points of the host's other networks: what has one of them is not for this network, whatever else it patches."""
_FOREIGN_OPTIONS = {
    *("stg_self_attn_blocks", "a2v_cross_attn", "v2a_cross_attn", "chroma_radiance_options", "animate2_cache"),
    *("audio_embeds", "minimax_h3_sigma_shift_video", "minimax_h3_sigma_shift_audio"),
}
"""What the host's nodes for other networks say in `transformer_options`, which nothing here reads."""


class HostHooks(Hooks):
    """One forward's hooks. Patch protocols are those of the host's own Stable Diffusion 1.x UNet."""

    def __init__(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        width: int,
        control: dict | None,
        options: dict[str, Any],
        per_frame_text: bool = False,
    ) -> None:
        self.inputs = {"x": x, "timesteps": timesteps, "context": context, "y": None}
        self.width = width
        self.control = control or {}
        self.options = options
        self.patches: dict[str, list[Callable]] = options.get("patches", {})
        self.replacements: dict[str, dict] = options.get("patches_replace", {})
        _check_patches(self.patches, self.replacements)
        _check_options(options)
        self.block: tuple = ("input", 0)
        patched = bool(self.replacements.get("attn2")) or any(key.startswith("attn2") for key in self.patches)
        self.per_frame_text = per_frame_text or patched
        self.changes_between = bool(self.patches.get("middle_patch"))
        self.frame_distance = _frame_distance(options.get("rope_options"))
        options["original_shape"] = list(x.shape)
        options["transformer_index"] = -1

    def enter(self, kind: str, index: int) -> None:
        self.block = (kind, index)
        self.options["block"] = self.block

    def time_embedding(self, embedding: Tensor) -> Tensor:
        # Patches expect what the host has: one for each row, which are frames.
        embedding = embedding.repeat_interleave(len(self.inputs["x"]) // len(embedding), 0)
        for patch in self.patches.get("emb_patch", ()):
            embedding = patch(embedding, self.width, self.options)
        self.inputs["emb"] = embedding
        return embedding

    def after_input(self, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self._residual(h, "input")
        for patch in self.patches.get("input_block_patch", ()):
            h = patch(h, self.options)
        skip = h
        for patch in self.patches.get("input_block_patch_after_skip", ()):
            h = patch(h, self.options)
        return h, skip

    def after_middle(self, h: Tensor) -> Tensor:
        h = self._residual(h, "middle")
        for patch in self.patches.get("middle_block_after_patch", ()):
            h = patch({"h": h, "transformer_options": self.options, **self.inputs})["h"]
        return h

    def before_output(self, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        skip = self._residual(skip, "output")
        for patch in self.patches.get("output_block_patch", ()):
            h, skip = patch(h, skip, self.options)
        return h, skip

    def attention(self, name: str, attn: Attention, x: Tensor, context: Tensor | None) -> Tensor:
        if name == "attn1":
            self.options["transformer_index"] += 1
        extra = self._extra_options(attn.heads, x.shape[-1])
        value = None
        for patch in self.patches.get(f"{name}_patch", ()):
            context = x if context is None else context
            x, context, value = patch(x, context, context if value is None else value, extra)
        replacement = self._replacement(name)
        if replacement is None:
            out = attn(x, context, value, transformer_options=self.options)
        else:
            context = x if context is None else context
            keys, values = attn.to_k(context), attn.to_v(context if value is None else value)
            out = attn.output(replacement(attn.to_q(x), keys, values, extra))
        for patch in self.patches.get(f"{name}_output_patch", ()):
            out = patch(out, extra)
        return out

    def between_attentions(self, x: Tensor, heads: int) -> Tensor:
        for patch in self.patches.get("middle_patch", ()):
            x = patch(x, self._extra_options(heads, x.shape[-1]))
        return x

    def temporal_attention(self, attn: TemporalAttention, x: Tensor, positions: FramePositions) -> Tensor:
        replacement = self._replacement(TEMPORAL_PATCH)
        if replacement is None:
            return attn(x, positions)
        return replacement(attn, x, positions, self._extra_options(attn.heads, x.shape[-1]))

    def _residual(self, h: Tensor, position: str) -> Tensor:
        residuals = self.control.get(position)
        residual = residuals.pop() if residuals else None
        return h if residual is None else h + residual.to(h)

    def _replacement(self, name: str) -> Callable | None:
        candidates = self.replacements.get(name, {})
        return candidates.get((*self.block, 0), candidates.get(self.block))

    def _extra_options(self, heads: int, width: int) -> dict[str, Any]:
        extra = {key: value for key, value in self.options.items() if key not in ("patches", "patches_replace")}
        extra.update(n_heads=heads, dim_head=width // heads, attn_precision=None, block_index=0)
        return extra


def _check_patches(patches: dict[str, Any], replacements: dict[str, Any]) -> None:
    """Raises ValueError for patches of another network, and where none has a place in this one: they do nothing."""
    names = {name for name, given in [*patches.items(), *replacements.items()] if given}
    foreign = names & _FOREIGN_PATCHES if names & (_PATCHED | _REPLACED) else names
    if foreign:
        raise ValueError(
            f"model: a node for another model patched its {', '.join(sorted(foreign))}, which SEINE's UNet does not "
            "have: take that node out"
        )


def _check_options(options: dict[str, Any]) -> None:
    """Raises ValueError for options that only another network reads: they would do nothing."""
    foreign = sorted(name for name in _FOREIGN_OPTIONS if options.get(name) is not None)
    if foreign:
        raise ValueError(
            f"model: a node for another model set its {', '.join(foreign)}, which SEINE's UNet does not read: take "
            "that node out"
        )


def _frame_distance(rope_options: dict[str, float] | None) -> float:
    """The scale over frames of core's ScaleROPE. Raises ValueError for what SEINE has no positions for."""
    others = dict(rope_options or {})
    distance = others.pop("scale_t", 1.0)
    if any(value != (1.0 if name.startswith("scale") else 0.0) for name, value in others.items()):
        raise ValueError(
            "model: ScaleROPE changes more than scale_t. SEINE has rotary positions over frames alone, and only their "
            "distance counts: set scale_x and scale_y to 1, every shift to 0"
        )
    return distance
