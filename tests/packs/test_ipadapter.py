"""IPAdapter_plus: an IPAdapter for Stable Diffusion 1.5, of narrow made-up weights, by the pack's own nodes."""

import pytest
import torch
from safetensors.torch import save_file

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled, windows
from tests.packs.packs import DEEP, DEEP_MODEL, needs_packs

pytestmark = [pytest.mark.one_host, needs_packs]
FILE = "made-up-ipadapter.safetensors"
TOKENS, EMBEDDING = 4, 24
COLOURS = [0xFF2010, 0x10FF20, 0x2010FF, 0xFFFF10, 0x10FFFF, 0xFF10FF, 0x202020, 0xF0F0F0]


@pytest.fixture(scope="module")
def adapter(packed):
    """Keys and values of the images for each of the sixteen transformers, in the published files' layout."""
    first, second, third, last = DEEP.block_out_channels
    up = [third] * 3 + [second] * 3 + [first] * 3
    widths = [first] * 2 + [second] * 2 + [third] * 2 + up + [last]
    read, random = DEEP.cross_attention_dim, torch.Generator().manual_seed(5)
    tensors = {
        "image_proj.proj.weight": torch.randn(TOKENS * read, EMBEDDING, generator=random),
        "image_proj.proj.bias": torch.zeros(TOKENS * read),
        "image_proj.norm.weight": torch.ones(read),
        "image_proj.norm.bias": torch.zeros(read),
    }
    for number, width in enumerate(widths):
        for part in ("to_k_ip", "to_v_ip"):
            key = f"ip_adapter.{2 * number + 1}.{part}.weight"
            tensors[key] = torch.randn(width, read, generator=random) / 4
    (packed.models / "ipadapter").mkdir(exist_ok=True)
    save_file(tensors, packed.models / "ipadapter" / FILE)
    return FILE


def pictures(graph: dict, colours: list[int]) -> list:
    """A batch of plain pictures in `graph`; the output to take them from."""
    for index, colour in enumerate(colours):
        graph[f"colour {index}"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=colour)
        if index:
            before = ["colour 0", 0] if index == 1 else [f"colours {index - 1}", 0]
            graph[f"colours {index}"] = node("ImageBatch", image1=before, image2=[f"colour {index}", 0])
    return [f"colours {len(colours) - 1}", 0] if len(colours) > 1 else ["colour 0", 0]


def adapted(adapter: str, colours: list[int], node_type: str = "IPAdapterAdvanced", frames: int = FRAMES, **inputs):
    """A clip that is guided by pictures; its MODEL is at "adapted"."""
    graph = clip(frames=frames, model_name=DEEP_MODEL)
    graph["ipadapter"] = node("IPAdapterModelLoader", ipadapter_file=adapter)
    graph["encoder"] = node("MadeUpImageEncoder")
    settings = {"model": ["model", 0], "ipadapter": ["ipadapter", 0], "clip_vision": ["encoder", 0]}
    settings |= {"image": pictures(graph, colours), "weight": 1.0, "weight_type": "linear"}
    settings |= {"start_at": 0.0, "end_at": 1.0, "embeds_scaling": "V only"}
    settings |= {"encode_batch_size": 0} if node_type == "IPAdapterBatch" else {"combine_embeds": "concat"}
    graph["adapted"] = node(node_type, **(settings | inputs))
    return sampled(graph, model=["adapted", 0])


def plain(frames: int = FRAMES) -> dict:
    return sampled(clip(frames=frames, model_name=DEEP_MODEL))


def difference(client, one: dict, other: dict) -> float:
    found, expected = (latents(client, graph)["latent"] for graph in (one, other))
    return float((found - expected).abs().max() / expected.abs().max())


def test_pictures_guide_the_clip(client, adapter):
    assert difference(client, adapted(adapter, COLOURS[:1]), plain()) > 1e-3
    assert difference(client, adapted(adapter, COLOURS[:1]), adapted(adapter, COLOURS[1:2])) > 1e-3


@pytest.mark.parametrize("weight_type", ["ease in", "weak input", "style transfer", "composition"])
def test_weights_by_block(client, adapter, weight_type):
    found = adapted(adapter, COLOURS[:1], weight_type=weight_type)
    assert difference(client, found, adapted(adapter, COLOURS[:1])) > 1e-4
    assert difference(client, found, plain()) > 1e-4


def test_a_mask_of_nothing_is_no_picture(client, adapter):
    graph = adapted(adapter, COLOURS[:1], attn_mask=["nothing", 0])
    graph["nothing"] = node("SolidMask", value=0.0, width=SIZE, height=SIZE)
    assert difference(client, graph, plain()) <= 1e-4


def test_a_picture_for_each_frame(client, adapter):
    """The same for all is one for all; others are not."""
    one = adapted(adapter, COLOURS[:1])
    assert difference(client, adapted(adapter, COLOURS[:1] * FRAMES, "IPAdapterBatch"), one) <= 1e-4
    assert difference(client, adapted(adapter, COLOURS[:FRAMES], "IPAdapterBatch"), one) > 1e-3


@pytest.mark.parametrize("kind", ["core", "AnimateDiff-Evolved"])
def test_a_picture_for_each_frame_in_windows(client, adapter, kind):
    """Windows without overlap: a picture of the second changes nothing in the first."""

    def windowed(colours: list[int]) -> torch.Tensor:
        graph = adapted(adapter, colours, "IPAdapterBatch", frames=8)
        if kind == "core":
            settings = {"context_length": 4, "context_overlap": 0, "context_schedule": "batched", "fuse_method": "flat"}
            graph = windows(graph, **settings, causal_window_fix=False)
        else:
            graph["context"] = node("ADE_StandardStaticContextOptions", context_length=4, context_overlap=0)
            graph["windows"] = node(
                "ADE_UseEvolvedSampling", beta_schedule="use existing", context_options=["context", 0]
            )
        graph["windows"]["inputs"]["model"] = ["adapted", 0]
        graph["sample"]["inputs"]["model"] = ["windows", 0]
        return latents(client, graph)["latent"]

    found, other = windowed(COLOURS), windowed([*COLOURS[:4], *reversed(COLOURS[4:])])
    moved = (found - other).abs().flatten(1).amax(1) / found.abs().max()
    assert moved[:4].max() <= 1e-4 and moved[4:].max() > 1e-3
