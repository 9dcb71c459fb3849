"""How long films are cut into windows."""

import itertools

import pytest

from seine_model.windows import plan


def fill(before, gap, after, window, overlap):
    """Follow the plan; which frames of the gap each window contributed."""
    known = set(range(-before, 0)) | set(range(gap, gap + after))
    owners = {}
    for index, each in enumerate(plan(before, gap, after, window, overlap)):
        shown = range(each.start, each.start + each.length)
        assert each.length <= window
        kept = {each.start + position for position in each.kept}
        assert kept <= known and kept <= set(shown), "it keeps only what is there by then"
        new = set(range(each.first, each.last + 1))
        assert new and new <= set(shown) - kept and not new & known
        owners |= dict.fromkeys(new, index)
        known |= new
    assert sorted(owners) == list(range(gap)), "every frame once"
    return owners


@pytest.mark.parametrize("overlap", [1, 3, 7])
def test_every_gap_is_filled_once(overlap):
    for before, after, gap in itertools.product((0, 1, 2, 5, 40), (0, 1, 2, 5, 40), (1, 2, 5, 13, 16, 17, 100)):
        fill(before, gap, after, 16, overlap)


def test_prediction_keeps_the_last_frames_and_shows_full_windows():
    first, second = plan(40, 20, 0, 16, 3)
    assert (first.start, first.length, first.kept, first.first, first.last) == (-3, 16, (0, 1, 2), 0, 12)
    assert (second.start, second.length, second.kept, second.first, second.last) == (10, 16, (0, 1, 2), 13, 19)


def test_backwards_is_the_mirror_image():
    (last, first) = plan(0, 20, 40, 16, 3)
    assert (last.start, last.kept, last.first, last.last) == (7, (13, 14, 15), 7, 19)
    assert (first.start, first.kept, first.first, first.last) == (-6, (13, 14, 15), 0, 6)


def test_a_short_gap_is_one_window_between_its_ends():
    (only,) = plan(5, 10, 5, 16, 3)
    assert (only.start, only.length, only.kept) == (-3, 16, (0, 1, 2, 13, 14, 15))
    (shorter,) = plan(5, 4, 5, 16, 3)
    assert (shorter.start, shorter.length, shorter.kept) == (-3, 10, (0, 1, 2, 7, 8, 9))
    (from_images,) = plan(1, 14, 1, 16, 3)
    assert (from_images.length, from_images.kept) == (16, (0, 15))


def test_a_long_gap_is_predicted_and_then_closed_by_a_full_window():
    windows = plan(5, 30, 5, 16, 3)
    assert all(each.length == 16 for each in windows)
    assert windows[-1].kept == (0, 1, 2, 13, 14, 15) and windows[-1].last == 29


def test_without_anything_known_the_first_window_is_free():
    first, second = plan(0, 20, 0, 16, 4)
    assert first.kept == () and (first.first, first.last) == (0, 15)
    assert second.kept == (0, 1, 2, 3)


def test_impossible_plans_are_refused():
    with pytest.raises(ValueError, match="0 to generate"):
        plan(1, 0, 0, 16, 3)
    with pytest.raises(ValueError, match="overlap of 16 frames leaves nothing.*from 1 to 15"):
        plan(16, 5, 0, 16, 16)
    with pytest.raises(ValueError, match="overlap of 8 frames at both ends.*from 1 to 7"):
        plan(16, 5, 16, 16, 8)
    with pytest.raises(
        ValueError, match="overlap: .* at both ends leaves nothing.*windows of 2: raise window to 3 or more"
    ):
        plan(16, 5, 16, 2, 1)
