"""The packs that these tests put beside ours, where $SEINE_PACKS names a folder that holds them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.graphs import FRAMES, Graph, clip, node, sampled
from tools.hosting.model_files import SMALL_MODEL
from tools.hosting.sample_bundle import SMALL

DEEP_MODEL = "deep.safetensors"
DEEP = replace(SMALL, layers_per_block=2)
"""Made-up weights, narrow, of as many layers as Stable Diffusion 1.5 has, whose numbers packs know."""
FOLDER = "SEINE_PACKS"
PACKS = {
    "ComfyUI-AnimateDiff-Evolved": "ADE_UseEvolvedSampling",
    "ComfyUI-VideoHelperSuite": "VHS_VideoCombine",
    "ComfyUI-Advanced-ControlNet": "ACN_AdvancedControlNetApply_v2",
    "ComfyUI_IPAdapter_plus": "IPAdapterAdvanced",
    "ComfyUI-KJNodes": "ColorMatch",
    "ComfyUI-Frame-Interpolation": "RIFE VFI",
    "ComfyUI-Impact-Pack": "RegionalSampler",
    "rgthree-comfy": "Power Lora Loader (rgthree)",
    "ComfyUI-Custom-Scripts": "MathExpression|pysssss",
    "ComfyUI_UltimateSDUpscale": "UltimateSDUpscaleNoUpscale",
}
"""Each pack's folder, and a node of it."""

needs_packs = pytest.mark.skipif(
    FOLDER not in os.environ,
    reason=f"needs ten other packs: set {FOLDER} to a folder with their checkouts, see docs/packs.md",
)


def folder_of(pack: str) -> Path:
    return Path(os.environ[FOLDER]).expanduser() / pack


def small(sampler: str = "SEINEKSampler", number: int = 0, **changes) -> Graph:
    """The plain clip of the small model; of another number it is the same, and not in the server's cache.

    The latent is cut, twice, to lengths beyond its end, which changes nothing; the host allows 64.
    """
    graph = sampled(clip(model_name=SMALL_MODEL), sampler, latent_image=["cut", 0], **changes)
    again, once = divmod(number, 40)
    for name, source, length in (("cut first", ["clip", 2], once), ("cut", ["cut first", 0], again)):
        graph[name] = node("LatentFromBatch", samples=source, batch_index=0, length=FRAMES + length)
    return graph
