"""A camera over the first given picture."""

import itertools

import pytest
import torch

from tests.graphs import clip, latents, node, sampled, saving, windows
from tools.hosting.client import ExecutionFailed


def graph(images=1, videos=1, frames=4, cfg=2.0, **cameras):
    """A clip, and the same behind each of these cameras."""
    made = clip("first frames" if images else "text to video", images=images, videos=videos, frames=frames)
    made["keyframes"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0xC04020)
    made["half"] = node("EmptyImage", width=32, height=64, batch_size=1, color=0x20C080)
    made["picture"] = node(
        "ImageCompositeMasked", destination=["keyframes", 0], source=["half", 0], x=0, y=0, resize_source=False
    )
    if images:
        made["clip"]["inputs"]["keyframes"] = ["picture", 0]
    made = sampled(made, steps=4, cfg=cfg)
    for name, dials in cameras.items():
        given = {"pan": 0.0, "tilt": 0.0, "zoom": 0.0, "strength": 0.6} | dials
        inputs = {"positive": ["clip", 0], "negative": ["clip", 1], "vae": ["model", 2]}
        made[f"{name} camera"] = node("SEINECamera", **inputs, **given)
        prompts = {"positive": [f"{name} camera", 0], "negative": [f"{name} camera", 1]}
        made[f"{name} sample"] = node("SEINEKSampler", **(made["sample"]["inputs"] | prompts))
        made[name] = node("SaveLatent", samples=[f"{name} sample", 0], filename_prefix="latents/test")
    return made


def test_dials(client):
    found = latents(
        client,
        graph(still={}, none={"pan": 1.0, "strength": 0.0}, pan={"pan": 1.0}, back={"pan": -1.0}, zoom={"zoom": 1.0}),
    )
    assert torch.equal(found["still"], found["latent"]) and torch.equal(found["none"], found["latent"])
    different = [found[name] for name in ("latent", "pan", "back", "zoom")]
    assert all(not torch.equal(a, b) for i, a in enumerate(different) for b in different[:i])
    assert all(each.isfinite().all() for each in different)


def test_two_clips_are_each_as_alone(client):
    one, two = (latents(client, graph(videos=videos, pan={"pan": 1.0}))["pan"] for videos in (1, 2))
    assert len(two) == 8 and torch.allclose(two[:4], one, atol=1e-2)


def test_text_alone_has_no_picture(client):
    with pytest.raises(ExecutionFailed, match="positive: it carries no picture for the camera to move over"):
        latents(client, graph(images=0, pan={"pan": 1.0}))


def test_without_guidance(client):
    found = latents(client, graph(pan={"pan": 1.0}, cfg=1.0))
    assert found["pan"].isfinite().all() and not torch.equal(found["pan"], found["latent"])


def test_context_windows(client):
    """Each window shows its own part of the way: of the whole clip's way, and not the way anew."""
    ways = {"led": {"pan": 1.0, "strength": 1.0}, "none": {"pan": 1.0, "strength": 0.0}}
    made = graph(frames=7, **ways)
    whole = latents(client, made)
    made = windows(made, context_length=4, context_overlap=1)
    for name in ("sample", "led sample", "none sample"):
        made[name]["inputs"]["model"] = ["windows", 0]
    found = latents(client, made)
    assert torch.equal(found["none"], found["latent"])
    assert found["led"].shape == (7, 4, 8, 8) and found["led"].isfinite().all()
    near, far = ((found["led"] - other).abs().mean() for other in (whole["led"], whole["none"]))
    assert not torch.equal(found["none"], whole["none"]), "the windows make a difference"
    assert near < 0.5 * far


def test_a_film_of_prompts_with_a_camera(client):
    made = graph(pan={"pan": 1.0})
    film = {"direction": "after", "frames": 4, "window": 4, "overlap": 1, "images": ["picture", 0], "vae": ["model", 2]}
    film |= {"model": ["model", 0], "seed": 1, "steps": 3, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
    for name in ("clip", "pan camera"):
        made[f"{name} film"] = node("SEINEExtendVideo", positive=[name, 0], negative=[name, 1], **film)
        made[f"{name} saved"] = node("SaveLatent", samples=[f"{name} film", 0], filename_prefix="latents/test")
    found = latents(client, made)
    assert torch.equal(found["clip saved"], found["pan camera saved"])


def behind(graph, name, *nodes):
    """`graph` with the clip behind these nodes in a row (type and inputs each), its latents saved at `name`."""
    before = "clip"
    for index, (node_type, inputs) in enumerate(nodes):
        vae = {"vae": ["model", 2]} if node_type == CAMERA else {}
        given = {"positive": [before, 0], "negative": [before, 1], **vae}
        before = f"{name} {index}"
        graph[before] = node(node_type, **given, **inputs)
    prompts = {"positive": [before, 0], "negative": [before, 1]}
    graph[f"{name} sample"] = node("SEINEKSampler", **(graph["sample"]["inputs"] | prompts))
    return saving(graph, f"{name} sample", name)


CAMERA, SOFT = "SEINECamera", "SEINESoftKeyframes"
STILL = {"pan": 0.0, "tilt": 0.0, "zoom": 0.0, "strength": 0.9}


def softer(strength):
    return SOFT, {"strength": strength, "given_frames": ""}


def test_soft_keyframes_before_or_behind_it(client):
    """Each keeps its own share of the sampling."""
    pan, short = (CAMERA, STILL | {"pan": 1.0}), (CAMERA, STILL | {"pan": 1.0, "strength": 0.3})
    made = graph()
    for name, nodes in {
        "before": (softer(0.3), pan),
        "behind": (pan, softer(0.3)),
        "short": (short, softer(0.3)),
        "alone": (pan,),
        "soft": (softer(0.3),),
    }.items():
        made = behind(made, name, *nodes)
    found = latents(client, made)
    assert torch.equal(found["before"], found["behind"])
    others = [found[name] for name in ("behind", "short", "alone", "soft")]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(others, 2))


def test_two_cameras_add_up(client):
    pan, zoom = ({"pan": 0.5}, {"zoom": 1.0, "strength": 0.6})
    ways = {
        "both": (pan, zoom),
        "turned": (zoom, pan),
        "one": (pan,),
        "other": (zoom,),
        "twice": (pan, pan),
        "double": ({"pan": 1.0},),
        "cancelled": (pan, {"pan": -0.5}),
    }
    made = graph()
    for name, cameras in ways.items():
        made = behind(made, name, *((CAMERA, STILL | dials) for dials in cameras))
    found = latents(client, made)
    for one, other in (("both", "turned"), ("twice", "double"), ("cancelled", "latent")):
        assert torch.equal(found[one], found[other]), one
    others = [found[name] for name in ("both", "one", "other", "double", "latent")]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(others, 2))


@pytest.mark.parametrize(("timed", "said"), [(True, True), (False, False)])
def test_it_is_said_that_a_mask_on_the_sampler_leaves_it_out(client, server, timed, said):
    before = len(server.log.read_text(encoding="utf-8"))
    made = graph(pan={"pan": 1.0})
    name = "pan camera" if timed else "clip"
    made["second"] = node(
        "SEINEKSampler",
        **(made["sample"]["inputs"] | {"latent_image": ["sample", 0], "mask": ["mask", 0], "seed": 5 + timed}),
    )
    made["second"]["inputs"] |= {"positive": [name, 0], "negative": [name, 1]}
    latents(client, saving(made, "second", "masked"))
    log = server.log.read_text(encoding="utf-8")[before:]
    assert ("mask gives frames of the latent itself, so that SEINE Camera" in log) == said
