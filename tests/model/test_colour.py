"""Matching the colours of frames at a seam."""

import importlib
import sys

import pytest
import torch

from seine_model import colour
from seine_model.colour import match_colours


def clip(frames=4, seed=0):
    picture = torch.rand(1, 24, 32, 3, generator=torch.Generator().manual_seed(seed)) * 0.2 + 0.4
    drift = torch.rand(frames, 24, 32, 3, generator=torch.Generator().manual_seed(seed + 1)) * 0.02
    return picture + drift


def test_a_change_of_exposure_and_colour_is_undone():
    true = clip(8)
    drifted = true * torch.tensor([1.1, 0.95, 0.9]) + 0.03
    matched = match_colours(drifted[4:], true[:4], frames=2)
    assert (matched - true[4:]).abs().mean() < 0.25 * (drifted[4:] - true[4:]).abs().mean()


def test_images_that_match_already_stay():
    true = clip(6)
    assert (match_colours(true, true, frames=6) - true).abs().max() < 2e-3


def test_the_reference_may_come_after():
    true = clip(8)
    drifted = (true * 0.8)[:4]
    matched = match_colours(drifted, true[4:], frames=2, before=False)
    assert (matched - true[:4]).abs().mean() < 0.25 * (drifted - true[:4]).abs().mean()


def test_strength_goes_from_nothing_to_all():
    true, dark = clip(4), clip(4) * 0.7
    whole = match_colours(dark, true)
    assert torch.equal(match_colours(dark, true, strength=0.0), dark)
    torch.testing.assert_close(match_colours(dark, true, strength=0.5), (dark + whole) / 2)


def test_frames_of_one_colour_do_not_explode():
    flat = torch.full((2, 8, 8, 3), 0.5)
    matched = match_colours(flat, clip(2))
    assert (
        matched.std((0, 1, 2)).max() < 1e-3 and (matched.mean((0, 1, 2)) - clip(2).mean((0, 1, 2))).abs().max() < 0.03
    )
    assert match_colours(clip(2), flat).min() >= 0


def test_long_films_are_done_in_chunks_with_the_same_result():
    true, dark = clip(19), clip(19) * 0.7
    whole = match_colours(dark, true)
    torch.testing.assert_close(match_colours(dark[:1], true), whole[:1])
    torch.testing.assert_close(whole[8:9], match_colours(torch.cat((dark[:1], dark[8:9])), true)[1:])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="reference: 2 frames, but frames is 3"):
        match_colours(clip(4), clip(2), frames=3)
    with pytest.raises(ValueError, match="images: expected RGB"):
        match_colours(torch.rand(2, 8, 8, 4), clip(2))


def test_without_kornia_all_else_goes_on(monkeypatch):
    """ComfyUI lists it among what is not essential, and starts without it."""
    monkeypatch.setitem(sys.modules, "kornia", None)
    try:
        without = importlib.reload(colour)
        with pytest.raises(RuntimeError, match="pip install kornia"):
            without.match_colours(torch.rand(2, 8, 8, 3), torch.rand(2, 8, 8, 3))
    finally:
        monkeypatch.undo()
        importlib.reload(colour)
