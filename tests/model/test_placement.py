import pytest

from seine_model.placement import places


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"between": 0}, []),
        ({"between": 0, "first": 1}, [0]),
        ({"between": 0, "last": 1}, [15]),
        ({"between": 0, "first": 1, "last": 1}, [0, 15]),
        ({"between": 0, "first": 2, "last": 3}, [0, 1, 13, 14, 15]),
        ({"between": 1}, [0]),
        ({"between": 2}, [0, 15]),
        ({"between": 3}, [0, 8, 15]),
        ({"between": 1, "first": 1, "last": 1}, [0, 8, 15]),
        ({"between": 2, "first": 1}, [0, 8, 15]),
        ({"between": 1, "last": 1}, [0, 15]),
        ({"between": 16}, list(range(16))),
        ({"between": 2, "text": "7, 11", "first": 1, "last": 1}, [0, 7, 11, 15]),
        ({"between": 2, "text": "11 7"}, [11, 7]),
        ({"between": 1, "text": "-2"}, [14]),
        ({"between": 3, "text": "4-6"}, [4, 5, 6]),
    ],
)
def test_where_pictures_go(given, expected):
    assert places(16, **given) == expected


@pytest.mark.parametrize("frames", range(1, 20))
def test_spread_pictures_never_meet_and_fill_a_clip_at_most(frames):
    for first in (0, 1):
        for last in (0, 1):
            for between in range(frames - first - last + 1):
                taken = places(frames, between, first=first, last=last)
                assert taken == sorted(set(taken)) and len(taken) == first + between + last
                assert not (first or between) or taken[0] == 0
                assert not last or taken[-1] == frames - 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"between": 0, "first": 9, "last": 8}, "first_image, last_image: 17 images at the ends of a clip of 16"),
        ({"between": 15, "first": 1, "last": 1}, "keyframes: 17 images for a clip of 16 frames: raise frames"),
        ({"between": 2, "text": "7"}, "keyframe_places: 1 frames for 2 images in keyframes: write one for each"),
        ({"between": 0, "text": "7"}, "keyframe_places: 1 frames for 0 images in keyframes"),
        ({"between": 1, "text": "16"}, "keyframe_places: frame 16 is outside the clip: its frames are 0 to 15"),
        ({"between": 1, "text": "seven"}, "keyframe_places: frame indices must be whole numbers"),
        ({"between": 1, "text": "0", "first": 1}, "keyframe_places: frame 0 is given twice"),
        ({"between": 2, "text": "7, 7"}, "keyframe_places: frame 7 is given twice"),
    ],
)
def test_impossible_places_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        places(16, **given)
