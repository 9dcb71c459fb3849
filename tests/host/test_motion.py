"""More motion: steps guided away from slow motion."""

import torch

from tests.graphs import clip, latents, node, sampled, windows

FARTHER = {"scale_x": 1.0, "shift_x": 0.0, "scale_y": 1.0, "shift_y": 0.0, "scale_t": 1.4, "shift_t": 0.0}


def compared(client, graph, **nodes):
    """The graph's latents behind each of these nodes, which are given its MODEL, and without one."""
    made = dict(graph)
    for name, patch in nodes.items():
        patch["inputs"].setdefault("model", graph["sample"]["inputs"]["model"])
        inputs = graph["sample"]["inputs"] | {"model": [f"{name} model", 0]}
        made[f"{name} model"] = patch
        made[f"{name} sample"] = node(graph["sample"]["class_type"], **inputs)
        made[name] = node("SaveLatent", samples=[f"{name} sample", 0], filename_prefix="latents/test")
    found = latents(client, made)
    return {**found, "plain": found["latent"]}


def motion(motion=1.0, **dials):
    return node("SEINEMotion", motion=motion, **({"end_percent": 0.6} | dials))


def test_each_dial(client):
    found = compared(
        client,
        sampled(clip()),
        none=motion(0.0),
        no_guidance=motion(guidance=0.0),
        no_steps=motion(end_percent=0.0),
        default=motion(),
        half=motion(0.5, guidance=4.0),
        weaker=motion(0.5),
        to_the_end=motion(end_percent=1.0),
        farther=node("ScaleROPE", **FARTHER),
        after_farther=motion(model=["farther model", 0]),
    )
    for name in ("none", "no_guidance", "no_steps"):
        assert torch.equal(found[name], found["plain"]), name
    assert torch.equal(found["half"], found["default"])
    different = [found[name] for name in ("plain", "default", "weaker", "to_the_end", "farther", "after_farther")]
    assert all(not torch.equal(a, b) for i, a in enumerate(different) for b in different[:i])
    assert all(each.isfinite().all() for each in different)


def test_before_or_behind_what_sets_the_distance_of_frames(client):
    found = compared(
        client,
        sampled(clip()),
        first=motion(),
        farther=node("ScaleROPE", **FARTHER),
        before=node("ScaleROPE", model=["first model", 0], **FARTHER),
        behind=motion(model=["farther model", 0]),
    )
    assert torch.equal(found["before"], found["behind"])
    assert not torch.equal(found["before"], found["first"])


def test_with_stock_sampling_at_cfg_1_and_a_step_cache(client):
    graph = sampled(clip(), "KSampler", cfg=1.0, steps=6)
    cached = node(
        "EasyCache", model=["moved model", 0], reuse_threshold=0.2, start_percent=0.15, end_percent=0.95, verbose=False
    )
    found = compared(client, graph, moved=motion(), cached=cached)
    assert found["cached"].isfinite().all()
    assert not torch.equal(found["moved"], found["plain"])


def test_two_clips_are_each_as_alone(client):
    one, two = (compared(client, sampled(clip(videos=videos)), moved=motion()) for videos in (1, 2))
    assert torch.allclose(two["moved"][:4], one["moved"], atol=1e-2)
    assert not torch.allclose(two["moved"][:4], two["plain"][:4], atol=1e-2)


def test_context_windows(client):
    graph = windows(sampled(clip(frames=7)), context_length=4, context_overlap=1)
    graph["sample"]["inputs"]["model"] = ["windows", 0]
    found = compared(client, graph, moved=motion(), none=motion(0.0))
    assert torch.equal(found["none"], found["plain"]) and not torch.equal(found["moved"], found["plain"])
    assert found["moved"].isfinite().all()


def test_a_film(client):
    graph = clip()
    settings = {"seed": 1, "steps": 3, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}
    given = {"positive": ["positive", 0], "negative": ["negative", 0], "vae": ["model", 2], "images": ["keyframes", 0]}
    for name, model in {"moved": ["motion", 0], "none": ["still", 0], "plain": ["model", 0]}.items():
        film = {"direction": "after", "frames": 4, "window": 4, "overlap": 1, **settings, **given}
        graph[f"{name} film"] = node("SEINEExtendVideo", model=model, **film)
        graph[name] = node("SaveLatent", samples=[f"{name} film", 0], filename_prefix="latents/test")
    graph |= {"motion": motion(model=["model", 0]), "still": motion(0.0, model=["model", 0])}
    found = latents(client, graph)
    assert torch.equal(found["none"], found["plain"]) and not torch.equal(found["moved"], found["plain"])
    assert found["moved"].isfinite().all()
