"""Guidance in a part of the steps."""

import pytest

from tests.graphs import by_guider, clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed


def test_steps_outside_compute_half(run_in_host):
    report = run_in_host("guidance.py")
    assert report["everywhere"] == [2] * 10 and report["everywhere is as without"]
    # The timesteps are 999, 888 … 0; a quarter of the way is at 749, three quarters at 250.
    assert report["middle"] == [1] * 3 + [2] * 4 + [1] * 3
    assert report["both of two"] == [1] * 3 + [2] * 2 + [1] * 5
    assert report["parts differ"] > 1e-3
    assert report["nowhere is close to cfg 1"] < 1e-5
    assert report["refused"].startswith("guider: Unnamed has no positive prompt")


def test_in_a_graph_with_stock_nodes(client):
    graph = sampled(clip(), "KSampler", steps=6, sampler_name="euler", scheduler="normal", denoise=1.0)
    plain = latents(client, graph)["latent"]
    graph["interval"] = node("SEINEGuidanceInterval", model=["model", 0], start_percent=0.0, end_percent=0.5)
    graph["cached"] = node(
        "EasyCache", model=["interval", 0], reuse_threshold=0.2, start_percent=0.15, end_percent=0.95, verbose=False
    )
    graph["sample"]["inputs"]["model"] = ["cached", 0]
    found = latents(client, graph)["latent"]
    assert found.shape == plain.shape and found.isfinite().all() and not found.equal(plain)


DUAL_CFG = {
    "cond1": ["clip", 0],
    "cond2": ["empty", 0],
    "negative": ["clip", 1],
    "cfg_conds": 6.0,
    "cfg_cond2_negative": 4.0,
}
GUIDERS = {
    "PerpNegGuider": {"empty_conditioning": ["empty", 0], "negative": ["clip", 1], "cfg": 6.0, "neg_scale": 1.0},
    "DualCFGGuider": DUAL_CFG | {"style": "regular"},
    "DualCFGGuider nested": DUAL_CFG | {"style": "nested"},
    "DualModelGuider": {"model_negative": ["model", 0], "negative": ["clip", 1], "cfg": 6.0},
}


def guided(guider: str | None, interval: tuple[float, float] | None, **more):
    """A clip by one of the host's guiders (None: by its positive prompt alone), behind the node."""
    graph = clip("text to video", images=0) | {"empty": node("CLIPTextEncode", text="tiles", clip=["model", 1])}
    model = ["model", 0]
    if interval is not None:
        graph["interval"] = node(
            "SEINEGuidanceInterval", model=model, start_percent=interval[0], end_percent=interval[1]
        )
        model = ["interval", 0]
    if guider is None:
        graph["guider"] = node("BasicGuider", model=model, conditioning=["clip", 0])
    else:
        inputs = {**GUIDERS[guider], "model": model}
        if not guider.startswith("DualCFG"):
            inputs["positive"] = ["clip", 0]
        graph["guider"] = node(guider.split()[0], **inputs)
    return by_guider(graph, "euler", steps=4)


@pytest.mark.parametrize("guider", GUIDERS)
def test_it_acts_on_guiders_that_predict_by_themselves(client, guider):
    """Nowhere guided they follow the positive prompt alone, in a part of the steps neither that nor all of it."""
    alone = latents(client, guided(None, None))["latent"]
    whole, off, part = (latents(client, guided(guider, interval))["latent"] for interval in (None, (0, 0), (0, 0.5)))
    assert (off - alone).abs().max() < 1e-4 * alone.abs().max()
    assert not part.equal(whole) and not part.equal(off)
    assert latents(client, guided(guider, (0, 1)))["latent"].equal(whole)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_two_equal_shares_switch_guidance_off(client, share):
    def run(cfg, **inputs):
        graph = sampled(clip(), "KSampler", steps=4, sampler_name="euler", cfg=cfg)
        if inputs:
            graph["interval"] = node("SEINEGuidanceInterval", model=["model", 0], **inputs)
            graph["sample"]["inputs"]["model"] = ["interval", 0]
        return latents(client, graph)["latent"]

    off, wanted = run(8.0, start_percent=share, end_percent=share), run(1.0)
    assert (off - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("first", ["interval", "attention"])
def test_nodes_that_look_at_the_negative_prompt_still_get_it(client, first):
    """Self-attention guidance looks at its attention at every step; without guidance it is as with cfg 1."""

    def run(cfg, *interval):
        graph = sampled(clip("text to video", images=0, frames=2, width=128, height=192), "KSampler", steps=4, cfg=cfg)
        graph["latent_image"] = node("EmptyLatentImage", width=128, height=192, batch_size=2)
        graph["attention"] = node("SelfAttentionGuidance", model=["model", 0], scale=0.5, blur_sigma=2.0)
        graph["sample"]["inputs"] |= {
            "latent_image": ["latent_image", 0],
            "positive": ["positive", 0],
            "negative": ["negative", 0],
            "model": ["attention", 0],
        }
        if interval:
            start, end = interval
            graph["interval"] = node("SEINEGuidanceInterval", model=["model", 0], start_percent=start, end_percent=end)
            second = "attention" if first == "interval" else "interval"
            graph[second]["inputs"]["model"] = [first, 0]
            graph["sample"]["inputs"]["model"] = [second, 0]
        return latents(client, graph)["latent"]

    unguided, whole = run(1.0), run(8.0)
    off = run(8.0, 0.0, 0.0)
    assert (off - unguided).abs().max() < 1e-4 * unguided.abs().max()
    part = run(8.0, 0.3, 0.6)
    assert part.isfinite().all() and not part.equal(whole) and not part.equal(off)


def test_what_other_nodes_wrap_around_a_prediction_stays(client):
    """LazyCache answers for some steps by itself, in which order ever the two are."""

    def run(*order):
        graph = sampled(clip(), "KSampler", steps=8, sampler_name="euler", scheduler="normal")
        settings = {
            "SEINEGuidanceInterval": {"start_percent": 0.0, "end_percent": 0.3},
            "LazyCache": {"reuse_threshold": 2.0, "start_percent": 0.15, "end_percent": 0.95, "verbose": False},
        }
        for name in order:
            graph[name] = node(name, model=graph["sample"]["inputs"]["model"], **settings[name])
            graph["sample"]["inputs"]["model"] = [name, 0]
        return latents(client, graph)["latent"]

    plain = run("SEINEGuidanceInterval")
    for order in (("SEINEGuidanceInterval", "LazyCache"), ("LazyCache", "SEINEGuidanceInterval")):
        assert not run(*order).equal(plain)


def test_an_interval_that_ends_before_it_begins_is_refused(client):
    graph = sampled(clip())
    graph["interval"] = node("SEINEGuidanceInterval", model=["model", 0], start_percent=0.8, end_percent=0.2)
    graph["sample"]["inputs"]["model"] = ["interval", 0]
    with pytest.raises(ExecutionFailed, match="start_percent: 0.8 is after end_percent 0.2"):
        client.run(graph)
