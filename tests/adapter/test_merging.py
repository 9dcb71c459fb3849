"""Merging models by parts, and core's ScaleROPE."""

import pytest


@pytest.fixture(scope="module")
def report(run_in_host):
    return run_in_host("merging.py")


def test_parts_are_merged_as_by_hand(report):
    assert report["apart"] > 0.05
    assert report["all of one"] == 0
    assert max(report["all of two"], report["temporal of two"]) < 1e-3
    assert report["spatial of two"] > 1e-3, "attention over frames is not in the other parts"
    assert min(report["parts"].values()) > 10


def test_sliders_of_core_s_node_find_their_blocks(report):
    assert max(report["core's sliders"].values()) < 1e-3
    assert report["input of two is not all of it"] > 1e-2


def test_what_cannot_be_merged_is_named(report):
    assert report["foreign"].startswith("model2: this is not a SEINE model")
    assert report["share"].startswith("middle: ")


def test_scale_rope_acts_on_frames_or_says_why_not(report):
    assert report["rope as it is"]
    assert report["rope over frames"] > 1e-3
    assert "set scale_x and scale_y to 1" in report["rope of pixels"]
