"""Conditioning nodes of core that are for other models are refused by name, not silently ignored."""

import pytest

from tests.graphs import SIZE, clip, node, sampled
from tools.hosting.client import ExecutionFailed

PICTURE = node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=0x8080F0)
PROMPTS = {"positive": ["clip", 0], "negative": ["clip", 1]}
NODES = {
    "InpaintModelConditioning": (
        {**PROMPTS, "vae": ["model", 2], "pixels": ["picture", 0], "mask": ["solid", 0], "noise_mask": False},
        "SEINE Image to Video",
    ),
    "InstructPixToPixConditioning": (
        {**PROMPTS, "vae": ["model", 2], "pixels": ["picture", 0]},
        "SEINE Image to Video",
    ),
    "ReferenceLatent": ({"conditioning": ["clip", 0], "latent": ["clip", 2]}, "SEINE Image to Video"),
    "PiDConditioning": (
        {"positive": ["clip", 0], "latent": ["clip", 2], "latent_format": "flux", "degrade_sigma": 0.0},
        "SEINE Image to Video",
    ),
    "FluxGuidance": ({"conditioning": ["clip", 0], "guidance": 3.5}, "cfg"),
    "FluxKontextMultiReferenceLatentMethod": (
        {"conditioning": ["clip", 0], "reference_latents_method": "offset"},
        "SEINE Image to Video",
    ),
    "LTXVConditioning": ({**PROMPTS, "frame_rate": 25.0}, "have no rate until a video is saved"),
    "ConditioningStableAudio": ({**PROMPTS, "seconds_start": 0.0, "seconds_total": 2.0}, "pictures alone"),
}


@pytest.mark.parametrize("name", NODES)
def test_refused_with_words(client, name):
    inputs, words = NODES[name]
    graph = clip() | {"picture": PICTURE, "solid": node("SolidMask", value=1.0, width=SIZE, height=SIZE)}
    graph["other"] = node(name, **inputs)
    with pytest.raises(ExecutionFailed) as error:
        client.run(sampled(graph, positive=["other", 0]))
    message = error.value.exception_message
    assert message.startswith("positive, negative: a node for another model") and "take that node out" in message
    assert words in message
