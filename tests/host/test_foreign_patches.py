"""Nodes of core that patch a MODEL for another network are refused by what they set, not silently ignored."""

import pytest

from tests.graphs import clip, node, sampled
from tools.hosting.client import ExecutionFailed

WINDOWS = {
    **{"context_length": 9, "context_overlap": 0, "context_schedule": "standard_static", "context_stride": 1},
    **{"closed_loop": False, "fuse_method": "pyramid", "freenoise": False, "retain_first_frame": False},
    "split_conds_to_windows": False,
}
WHOLE = {"start_percent": 0.0, "end_percent": 1.0}
LAYERS = {"double_layers": "0", "single_layers": "0", "scale": 3.0, "rescaling_scale": 0.0, **WHOLE}
RADIANCE = {"preserve_wrapper": True, "start_sigma": 1.0, "end_sigma": 0.0, "force_sequential_txt_ids": False}
OPTIONS = "a node for another model set its "
PATCHES = "a node for another model patched its "
NODES = {
    "ChromaRadianceOptions": ({**RADIANCE, "nerf_tile_size": 32}, OPTIONS + "chroma_radiance_options"),
    "FluxKVCache": ({}, PATCHES + "post_input"),
    "LTXVContextWindows": (WINDOWS, "its context windows slide over dimension 2"),
    "LTXVModalityGuidance": ({"modality_scale": 3.0, **WHOLE}, OPTIONS + "a2v_cross_attn, v2a_cross_attn"),
    "LTXVSpatioTemporalGuidance": ({"scale": 1.0, "blocks": "29", **WHOLE}, OPTIONS + "stg_self_attn_blocks"),
    "MiniMaxH3SigmaShift": ({"shift_video": 3.0, "shift_audio": 3.0}, OPTIONS + "minimax_h3_sigma_shift_audio"),
    "SkipLayerGuidanceDiT": (LAYERS, PATCHES + "dit"),
    "WanAnimate2Cache": ({"device": "cpu", "dtype": "default"}, OPTIONS + "animate2_cache"),
    "WanContextWindowsManual": (WINDOWS, "its context windows slide over dimension 2"),
}


def message_of(client, name: str, patched_before: bool = False) -> str:
    if not client.object_info(name):
        pytest.skip(f"this ComfyUI has no {name}")
    graph = clip()
    if patched_before:
        graph["before"] = node("FreeU", model=["model", 0], b1=1.1, b2=1.2, s1=0.9, s2=0.2)
    graph["other"] = node(name, model=["before" if patched_before else "model", 0], **NODES[name][0])
    with pytest.raises(ExecutionFailed) as error:
        client.run(sampled(graph, model=["other", 0]))
    return error.value.exception_message


@pytest.mark.parametrize("name", NODES)
def test_refused_with_words(client, name):
    message = message_of(client, name)
    assert message.startswith(f"model: {NODES[name][1]}")
    assert "take that node out" in message or "use Context Windows (Manual)" in message


def test_refused_beside_a_patch_that_acts(client):
    assert message_of(client, "SkipLayerGuidanceDiT", patched_before=True).startswith(f"model: {PATCHES}dit,")
