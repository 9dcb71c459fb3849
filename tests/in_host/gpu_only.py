"""Graphs of every kind on a card that the CPU poses as: what lies where, and how far it is from the CPU's own.

In float32, so that they are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest import mock

import comfy.model_management
import torch
from comfyui_seine.comfy_adapter import files, loading, operations, unet
from comfyui_seine.comfy_adapter.films import window_store
from comfyui_seine.comfy_adapter.sampling import sample_seine_ddpm
from comfyui_seine.nodes import NODES
from comfyui_seine.seine_model import device_choices, normalisation
from comfyui_seine.tests.in_host.every_graph import GRAPHS, Made, nodes_noted
from comfyui_seine.tests.in_host.posing_pages import paging
from comfyui_seine.tools.hosting.device_watch import DeviceWatch
from comfyui_seine.tools.hosting.posing_device import Posing, PosingDevice, host_with_card
from torch import Tensor


def main(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """runs: by name, the `flags` ComfyUI was started with, the graphs (`only` some), whether weights are `paged` in."""
    files.register_folder()
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        mock.patch.object(unet, "optimized_attention", unet.attention_pytorch),
        mock.patch.object(window_store, "find", lambda key, like: None),
    ):
        made = Made()
        with nodes_noted() as used:
            expected = {name: graph(made) for name, graph in GRAPHS.items()}
        unused = [node.__name__ for node in NODES if node.__name__ not in used]
        return {"norms": norms(made), "unused": unused} | {
            name: on_the_card(expected, **run) for name, run in runs.items()
        }


def on_the_card(
    expected: dict[str, dict[str, Tensor]], flags: dict[str, bool], only: list[str] | None = None, paged: bool = False
) -> dict[str, Any]:
    with (
        # Maps are as small as the model. Those of a real one are normalised as they lie.
        mock.patch.object(device_choices, "LARGE_MAP", 1),
        host_with_card(comfy.model_management, fp32_vae=True, fp32_text_enc=True, **flags),
        PosingDevice(),
        mock.patch.object(operations, "PLAIN", (*operations.PLAIN, Posing)),
        paging() if paged else nullcontext([]) as pages,
    ):
        made = Made()
        found = {name: _compared(GRAPHS[name], made, expected[name]) for name in only or GRAPHS}
        waits = {steps: waits_of_the_sampler(steps) for steps in (3, 6)}
        return {"graphs": found, "waits": waits, "paged": [each.asked for each in pages]}


def norms(made: Made) -> dict[str, float]:
    """Norms of maps as they lie, with weights that the host casts, and how far they are from its own."""
    model = loading.load_model(files.model_path("sample.safetensors"), torch.float16)
    conds = made.clip_of()
    plain = made.sampled(*conds, model=model)["samples"]
    calls = mock.Mock(wraps=normalisation.normalised)
    with (
        mock.patch.object(normalisation, "normalises_as_it_lies", lambda x: True),
        mock.patch.object(normalisation, "normalised", calls),
    ):
        found = made.sampled(*conds, model=model)["samples"]
    return {"difference": float((found - plain).abs().max() / plain.abs().max()), "calls": calls.call_count}


def _compared(graph: Callable, made: Made, expected: dict[str, Tensor]) -> dict[str, Any]:
    """Where the results are, and the largest difference to what was expected, relative to that."""
    try:
        results = graph(made)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test says it
        return {"error": f"{type(error).__name__}: {error}"}
    places = {name: f"{value.device} {value.dtype}".replace("torch.", "") for name, value in results.items()}
    differences = {}
    for name, wanted in expected.items():
        difference = (results[name].cpu().float() - wanted.float()).abs().max()
        differences[name] = float(difference / wanted.float().abs().max().clamp(min=1.0))
    return {"error": "", "places": places, "differences": differences}


def waits_of_the_sampler(steps: int) -> int:
    """How often seine_ddpm waits for the card in so many steps, beside what the model does."""
    x, sigmas = torch.ones(2, 4, 4, 4, device="cuda"), torch.linspace(10.0, 0.0, steps + 1).to("cuda")
    watch = DeviceWatch()
    with watch, watch.forward():
        sample_seine_ddpm(lambda x, sigma: 0.5 * x, x, sigmas, disable=True, noise_sampler=lambda *levels: 0.0)
    return sum(watch.waits.values())
