"""Guidance in a part of the steps."""

import pytest

from tests.graphs import clip, latents, node, sampled
from tools.hosting.client import ExecutionFailed


def test_steps_outside_compute_half(run_in_host):
    report = run_in_host("guidance.py")
    assert report["everywhere"] == [2] * 10 and report["everywhere is as without"]
    # The timesteps are 999, 888 … 0; a quarter of the way is at 749, three quarters at 250.
    assert report["middle"] == [1] * 3 + [2] * 4 + [1] * 3
    assert report["both of two"] == [1] * 3 + [2] * 2 + [1] * 5
    assert report["parts differ"] > 1e-3
    assert report["nowhere is close to cfg 1"] < 1e-5


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


def test_an_interval_that_ends_before_it_begins_is_refused(client):
    graph = sampled(clip())
    graph["interval"] = node("SEINEGuidanceInterval", model=["model", 0], start_percent=0.8, end_percent=0.2)
    graph["sample"]["inputs"]["model"] = ["interval", 0]
    with pytest.raises(ExecutionFailed, match="start_percent: 0.8 is after end_percent 0.2"):
        client.run(graph)
