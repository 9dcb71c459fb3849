"""What the loaders give can be made anew by the host: for another device, or without paging."""

import pytest


@pytest.fixture(scope="session")
def report(run_in_host):
    return run_in_host("reloading.py")


def test_each_part_is_loaded_anew(report):
    """Equal weights, in memory of their own, in a model of its own; both ways the host has of asking."""
    assert report["anew"] == {name: [[True] * 3] * 2 for name in ("MODEL", "CLIP", "VAE")}


def test_a_clip_split_over_two_cards_is_that_of_one(report):
    """Three steps of two conditions: all on the first card, or one on each."""
    found = report["cards"]["MODEL"]
    assert found["one"] == {"cuda:0": 6}
    assert found["two"] == {"cuda:0": 3, "cuda:1": 3}
    assert found["shape"] == [4, 4, 8, 8]
    assert found["off"] < 1e-4


def test_a_run_begins_on_every_card_it_is_split_over(report):
    found = report["cards"]["MODEL"]
    assert found["tried on"] == ["cuda:0", "cuda:1"] and found["copies begin anew"]


@pytest.mark.parametrize("part", ["CLIP", "VAE"])
def test_a_part_on_the_other_card_gives_the_same(report, part):
    found = report["cards"][part]
    assert found["devices"] == ["cuda:0", "cuda:1"]
    assert found["off"] == 0
