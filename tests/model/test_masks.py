import pytest
import torch

from seine_model.masks import assign_keyframes, frame_mask, kept_frames, parse_indices
from tests import golden_data as golden


@pytest.mark.parametrize("name", sorted(golden.values("masks")))
def test_masks_are_the_reference_s(name):
    spec, frames = name.rsplit("_f", 1)
    assert frame_mask(spec, int(frames)).tolist() == golden.values("masks")[name]


def test_other_masks():
    assert kept_frames(frame_mask("last2", 8)) == [6, 7]
    assert kept_frames(frame_mask("0,7,15", 16)) == [0, 7, 15]
    assert kept_frames(frame_mask("15 -16", 16)) == [0, 15]
    assert frame_mask("all", 4).dtype == torch.float32


@pytest.mark.parametrize(
    ("spec", "frames", "message"),
    [
        ("first1", 0, "at least 1"),
        ("first17", 16, "count: 17 given frames of a clip of 16"),
        ("onelast9", 16, "count: 9 given frames at both ends of a clip of 16: choose from 1 to 8"),
        ("first0", 16, "choose from 1"),
        ("0,16", 16, "index 16 is outside the clip: its frames are 0 to 15"),
        ("-17", 16, "outside the clip"),
        ("", 16, "whole numbers"),
        ("one, two", 16, "whole numbers"),
    ],
)
def test_impossible_masks_are_refused(spec, frames, message):
    with pytest.raises(ValueError, match=message):
        frame_mask(spec, frames)


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        (" 0, 7 15", [0, 7, 15]),
        ("0，7、15；3", [0, 7, 15, 3]),
        ("０，１５", [0, 15]),
        ("0-3", [0, 1, 2, 3]),
        ("0 - 2, 15", [0, 1, 2, 15]),
        ("0–2 4~5 7..8 10到11", [0, 1, 2, 4, 5, 7, 8, 10, 11]),
        ("0,-1", [0, -1]),
        ("15 -16", [15, -16]),
        ("3-3", [3]),
        ("0-999999999", [0, 999999999]),
    ],
)
def test_indices_as_people_write_them(text, indices):
    assert parse_indices(text) == indices


@pytest.mark.parametrize("text", ["3-1", "1-", "-1--3", "1.5", "0-3-5", "9" * 12, "0x3"])
def test_indices_that_are_none(text):
    with pytest.raises(ValueError, match="whole numbers, such as 0, 7, 15 or 0-3, 15"):
        parse_indices(text)


@pytest.mark.parametrize(
    ("spec", "images", "expected"),
    [
        ("first1", 1, [0]),
        ("first3", 1, [0, 0, 0]),
        ("first3", 3, [0, 1, 2]),
        ("last2", 1, [0, 0]),
        ("onelast1", 2, [0, 1]),
        ("onelast2", 2, [0, 0, 1, 1]),
        ("onelast2", 4, [0, 1, 2, 3]),
        ("0,7,15", 3, [0, 1, 2]),
        ("0,1,15", 2, [0, 0, 1]),
        ("5", 1, [0]),
    ],
)
def test_keyframes_go_to_kept_frames_in_order(spec, images, expected):
    assert assign_keyframes(frame_mask(spec, 16), images) == expected


@pytest.mark.parametrize(
    ("spec", "images", "message"),
    [
        ("onelast1", 1, "wants 2 keyframe images"),
        ("first1", 2, "wants 1 keyframe images"),
        ("0,7,15", 2, "wants 3 keyframe images"),
        ("0,7,15", 1, "wants 3 keyframe images"),
        ("all", 1, "keeps no frame, but 1 image is wired in"),
    ],
)
def test_a_wrong_number_of_keyframes_says_what_is_wanted(spec, images, message):
    with pytest.raises(ValueError, match=message):
        assign_keyframes(frame_mask(spec, 16), images)
