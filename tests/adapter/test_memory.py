"""When memory runs out: smaller pieces first, then words that help."""

import pytest


@pytest.fixture(scope="session")
def report(run_in_host):
    return run_in_host("memory.py")


def test_smaller_pieces_are_tried_before_giving_up(report):
    assert report["two frames fit"] < 1e-4
    assert [rows for rows, *_ in report["tries for two frames"]] == [6, 3, 1, 1, 1, 1, 1, 1]
    assert {tuple(side) for _, _, *side in report["tries for two frames"]} == {(20, 20)}, "whole frames"
    shape, difference = report["tiles fit"]
    assert shape == [6, 160, 160, 3] and difference < 0.02
    tries = report["tries for tiles"]
    assert tries[:3] == [[6, 4, 20, 20], [3, 4, 20, 20], [1, 4, 20, 20]], "fewer frames come before tiles"
    assert "tiles of 128 pixels" in report["nothing fits"] and "--cpu-vae" in report["nothing fits"]
    assert report["later"] == 0, "the VAE is as it was"

    assert report["two images fit"] < 1e-4
    assert [rows for rows, *_ in report["tries for two images"]] == [6, 3, 1, 1, 1, 1, 1, 1]
    assert report["no image fits"].startswith("images: ") and "--cpu-vae" in report["no image fits"]

    assert report["one half at a time"] < 5e-3  # the host keeps latents in half precision
    # The batch that was too large is not tried again.
    assert report["rows tried"] == [8] + [4] * 6
    assert "4 frames of 64x64" in report["clip too large"] and "lower width and height" in report["clip too large"]
    # The next run has all of it again.
    assert report["rows when there is more memory"] == [8] * 3
    assert report["begun"] == 1, "a run, whatever it has of prompts"
    assert report["unloads for it"], "the host knows it for what it is"


def test_libraries_say_it_in_words_of_their_own(report):
    """With a batch that is too large alone, and with one video."""
    too_large = "Out of memory for one clip of 4 frames of 64x64"
    found = report["in other words"]
    assert found.pop("no engine") == ["none", "as it was"]
    assert len(found) == 3 and all(said == ["none", too_large] for said in found.values())


def test_what_may_mean_something_else_is_said_as_it_was_when_nothing_smaller_is_left(report):
    as_it_was = "as it was: GET was unable to find an engine to execute this computation"
    assert report["no engine"] == ["none", as_it_was]
    assert report["no engine to encode"] == as_it_was
