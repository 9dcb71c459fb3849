"""Advanced-ControlNet: strengths by frame and by step, on SEINE's MODEL, with a ControlNet of made-up weights."""

import pytest
import torch

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled, windows
from tests.packs.packs import needs_packs

pytestmark = [pytest.mark.one_host, needs_packs]


def controlled(advanced: bool = True, frames: int = FRAMES, **inputs) -> dict:
    """A clip that is guided by a ControlNet, by the pack's node or by core's."""
    graph = clip(frames=frames)
    graph["net"] = node("MadeUpControlNet", model=["model", 0])
    graph["hints"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=0x80A0FF)
    settings = {"positive": ["clip", 0], "negative": ["clip", 1], "control_net": ["net", 0], "image": ["hints", 0]}
    settings |= {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    graph["control"] = node("ACN_AdvancedControlNetApply_v2" if advanced else "ControlNetApplyAdvanced", **settings)
    graph["control"]["inputs"] |= inputs
    return sampled(graph, positive=["control", 0], negative=["control", 1])


def by_frame(graph: dict, strengths: dict[int, float]) -> dict:
    """Strengths of frames, by their numbers, at "frames"."""
    previous = {}
    for frame, strength in strengths.items():
        graph[f"frame {frame}"] = node("LatentKeyframe", batch_index=frame, strength=strength, **previous)
        previous = {"prev_latent_kf": [f"frame {frame}", 0]}
    graph["control"]["inputs"]["latent_kf_override"] = previous["prev_latent_kf"]
    return graph


def difference(client, one: dict, other: dict) -> torch.Tensor:
    """Of each frame, in parts of the largest value."""
    found, expected = (latents(client, graph)["latent"] for graph in (one, other))
    return (found - expected).abs().flatten(1).amax(1) / expected.abs().max()


def test_it_acts_as_core_does(client):
    assert difference(client, controlled(), controlled(advanced=False)).max() <= 1e-4
    assert difference(client, controlled(), sampled(clip())).max() > 1e-2


def test_strengths_by_frame(client):
    """All one is without them, all zero is without a ControlNet; others reach their own frames above all."""
    every = by_frame(controlled(), dict.fromkeys(range(FRAMES), 1.0))
    assert difference(client, every, controlled()).max() <= 1e-4
    none = by_frame(controlled(), dict.fromkeys(range(FRAMES), 0.0))
    assert difference(client, none, sampled(clip())).max() <= 1e-4
    some = difference(client, by_frame(controlled(), {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}), sampled(clip()))
    assert some[0] > 1e-2 and some[0] > 2 * some[1:].max()


def test_strengths_by_step(client):
    """No strength from a third of the run on differs from all of it, and from none of it."""
    graph = controlled()
    graph["first"] = node("TimestepKeyframe", start_percent=0.0, strength=1.0)
    graph["later"] = node("TimestepKeyframe", start_percent=0.3, strength=0.0, prev_timestep_kf=["first", 0])
    graph["control"]["inputs"]["timestep_kf"] = ["later", 0]
    assert difference(client, graph, controlled()).max() > 1e-3
    assert difference(client, graph, sampled(clip())).max() > 1e-3


def test_weights_by_block(client):
    graph = controlled()
    graph["weights"] = node("ScaledSoftControlNetWeights", base_multiplier=0.5, flip_weights=False)
    graph["control"]["inputs"]["weights_override"] = ["weights", 0]
    assert difference(client, graph, controlled()).max() > 1e-3


def test_mask(client):
    graph = controlled()
    graph["none"] = node("SolidMask", value=0.0, width=SIZE, height=SIZE)
    graph["control"]["inputs"]["mask_optional"] = ["none", 0]
    assert difference(client, graph, sampled(clip())).max() <= 1e-4


@pytest.mark.parametrize("kind", ["core", "AnimateDiff-Evolved"])
def test_strengths_by_frame_in_windows(client, kind):
    """The frames that have strength are those of the whole clip, whichever window they are in."""

    def windowed(graph):
        if kind == "core":
            settings = {"context_length": 4, "context_overlap": 0, "context_schedule": "batched", "fuse_method": "flat"}
            graph = windows(graph, **settings, causal_window_fix=False)
        else:
            graph["context"] = node("ADE_StandardStaticContextOptions", context_length=4, context_overlap=0)
            evolved = {"model": ["model", 0], "beta_schedule": "use existing", "context_options": ["context", 0]}
            graph["windows"] = node("ADE_UseEvolvedSampling", **evolved)
        graph["sample"]["inputs"]["model"] = ["windows", 0]
        return graph

    some = by_frame(controlled(frames=8), {frame: float(frame == 5) for frame in range(8)})
    moved = difference(client, windowed(some), windowed(sampled(clip(frames=8))))
    assert moved[:4].max() <= 1e-4, "the other window"
    assert moved[5] > 1e-2 and moved[5] == moved.max()
