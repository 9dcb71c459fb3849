"""A run can be cancelled at every stage: it ends soon, leaves nothing half made, and the next one works."""

import time

import pytest

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled
from tools.hosting.client import Interrupted

LONG = 600
SECONDS = 30
SAMPLING = {"seed": 3, "steps": 100, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}


def encoding():
    graph = clip(mode="custom keyframes", frames=LONG, images=LONG, indices=", ".join(map(str, range(LONG))))
    return graph | {"end": node("SaveLatent", samples=["clip", 2], filename_prefix="cancelled/latent")}


def sampling():
    return sampled(clip(), steps=200)


def extending():
    graph = clip()
    graph["extend"] = node(
        "SEINEExtendVideo",
        model=["model", 0],
        positive=["positive", 0],
        negative=["negative", 0],
        vae=["model", 2],
        direction="after",
        frames=200,
        window=8,
        overlap=2,
        images=["keyframes", 0],
        **SAMPLING,
    )
    graph["keyframes"]["inputs"]["batch_size"] = 2
    return graph | {"end": node("SaveLatent", samples=["extend", 0], filename_prefix="cancelled/latent")}


def storytelling():
    graph = clip()
    graph["images"] = node("EmptyImage", width=SIZE, height=SIZE, batch_size=2, color=0x2080F0)
    graph["story"] = node(
        "SEINEStory",
        model=["model", 0],
        clip=["model", 1],
        vae=["model", 2],
        images=["images", 0],
        story="shot 200: a red ball\ntransition 100: it turns blue\nshot 1:",
        negative_prompt="",
        fps=8.0,
        width=SIZE,
        height=SIZE,
        resize_mode="crop",
        window=8,
        overlap=2,
        **SAMPLING,
    )
    return graph | {"end": node("SaveLatent", samples=["story", 0], filename_prefix="cancelled/latent")}


def decoding():
    graph = {"model": clip()["model"]}
    graph["latent"] = node("EmptyLatentImage", width=2 * SIZE, height=2 * SIZE, batch_size=LONG)
    graph["decode"] = node(
        "SEINEVAEDecode", samples=["latent", 0], vae=["model", 2], frames_at_a_time=1, tiled=False, tile_size=512
    )
    return graph | {"end": node("SaveImage", images=["decode", 0], filename_prefix="cancelled/frame")}


def writing_a_video():
    graph = decoding()
    graph["decode"] = node("SEINEDecodeToVideo", samples=["latent", 0], vae=["model", 2], frames_at_a_time=1, fps=8.0)
    inputs = {"video": ["decode", 0], "filename_prefix": "cancelled/video", "format": "auto", "format.codec": "auto"}
    inputs["codec"] = "auto"  # as hosts before 0.33 ask for it
    return graph | {"end": node("SaveVideo", **inputs)}


def writing_a_gif():
    large = node("EmptyImage", width=512, height=512, batch_size=LONG // 2, color=0x2080F0)
    inputs = {"images": ["images", 0], "filename_prefix": "cancelled/gif", "fps": 8.0, "dither": True}
    return {"images": large, "end": node("SEINESaveGIF", **inputs)}


STAGES = {
    "SEINEImageToVideo": encoding,
    "SEINEKSampler": sampling,
    "SEINEExtendVideo": extending,
    "SEINEStory": storytelling,
    "SEINEVAEDecode": decoding,
    "SaveVideo": writing_a_video,
    "SEINESaveGIF": writing_a_gif,
}


@pytest.mark.parametrize("stage", STAGES)
def test_cancelled(client, server, stage):
    graph = STAGES[stage]()
    cancelled = []

    def cancel(event):
        if event.node_type == stage and event.value and not cancelled:
            cancelled.append(time.monotonic())
            client.interrupt()

    with pytest.raises(Interrupted, match=stage):
        client.run(graph, cancel)
    assert time.monotonic() - cancelled[0] < SECONDS
    assert not list(server.output.glob("cancelled/*")), "nothing half made is left"
    assert latents(client, sampled(clip(), steps=2))["latent"].shape[0] == FRAMES
