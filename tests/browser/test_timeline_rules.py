"""The timelines' rules, written in JavaScript for the nodes, held against those in Python for the graph."""

import random

import pytest

from seine_model.masks import MODES, assign_keyframes, frame_mask, kept_frames, parse_indices
from seine_model.placement import places

pytestmark = pytest.mark.one_host
SEED = 20240416


def call(page, module, function, *given):
    """What a module's function returns, sets as sorted lists."""
    return page.evaluate(
        """async ([module, name, given]) => {
            const functions = await import(`/extensions/comfyui-seine/js/${module}.js`)
            const plain = (key, value) => value instanceof Set ? [...value].sort((a, b) => a - b) : value
            return JSON.parse(JSON.stringify(functions[name](...given), plain) ?? null)
        }""",
        [module, function, list(given)],
    )


def calls(page, module, function, cases, first="given => given"):
    """The same for many cases at once; first: what becomes of a case's values before."""
    return page.evaluate(
        """async ([module, name, cases, first]) => {
            const functions = await import(`/extensions/comfyui-seine/js/${module}.js`)
            const plain = (key, value) => value instanceof Set ? [...value].sort((a, b) => a - b) : value
            const before = eval(first)
            return cases.map(given => JSON.parse(JSON.stringify(functions[name](...before(given)), plain)))
        }""",
        [module, function, cases, first],
    )


@pytest.mark.parametrize(
    ("mode", "count", "indices", "frames"),
    [
        ("first frames", 3, "0", 16),
        ("first and last frames", 2, "0", 16),
        ("last frames", 1, "0", 8),
        ("text to video", 1, "0", 8),
        ("custom keyframes", 1, "0, 7 -1", 16),
        ("custom keyframes", 1, "16", 16),
        ("custom keyframes", 1, "a", 16),
        ("first and last frames", 5, "0", 8),
        ("last frames", 4096, "0", 4096),
    ],
)
def test_timeline_keeps_what_the_mask_keeps(page, mode, count, indices, frames):
    found = call(page, "frame_mask", "keptFrames", mode, count, indices, frames)
    try:
        expected = kept_frames(frame_mask(MODES[mode].format(count=count, indices=indices), frames))
    except ValueError:
        assert found["problem"]
    else:
        assert found == {"kept": expected, "problem": None}


@pytest.mark.parametrize("frames", ["1e9", "0", "-3", "NaN", "Infinity"])
def test_timeline_of_a_clip_of_no_possible_length_is_a_problem_at_once(page, frames):
    took = page.evaluate(
        """async frames => {
            const module = await import('/extensions/comfyui-seine/js/frame_mask.js')
            const began = performance.now()
            const {kept, problem} = module.keptFrames('first frames', 1e9, '0', Number(frames))
            return [kept.size, problem.kind, performance.now() - began]
        }""",
        frames,
    )
    assert took[:2] == [0, "too long"] and took[2] < 100


def test_text_of_painted_frames_is_read_as_those_frames(page):
    chance = random.Random(SEED)
    cases = [sorted(chance.sample(range(64), chance.randint(1, 60))) for _ in range(50)]
    texts = calls(page, "frame_mask", "writeIndices", [[case] for case in cases])
    assert [parse_indices(text) for text in texts] == cases
    assert call(page, "frame_mask", "writeIndices", [15, 0, 1, 2, 3, 7, 8]) == "0-3, 7, 8, 15"


def test_painting_keeps_or_frees_a_run_in_either_direction(page):
    cases = [[[0, 9], 2, 4, True], [[0, 9], 4, 2, True], [[0, 3, 9], 3, 3, False], [[1, 2, 3], 5, 0, False]]
    found = calls(page, "frame_mask", "painted", cases, "([kept, ...rest]) => [new Set(kept), ...rest]")
    assert found == [[0, 2, 3, 4, 9], [0, 2, 3, 4, 9], [0, 9], []]


def test_no_painted_frame_is_text_to_video(page):
    found = calls(page, "frame_mask", "widgetsFor", [[[]], [[3]]], "([kept]) => [new Set(kept)]")
    assert found == [{"mode": "text to video"}, {"mode": "custom keyframes", "indices": "3"}]


def test_pictures_are_where_the_clip_has_them(page):
    chance = random.Random(SEED)
    texts = ["", " ", "7", "7, 11", "-2", "3-5", "99", "7, 7", "0", "a", "5 3", "1，2", "0-1"]
    cases = [
        [frames, between, text, first, last]
        for frames in (1, 2, 3, 8, 16, 33)
        for text in texts
        for between, first, last in [[chance.randint(0, 3) for _ in range(3)] for _ in range(6)]
    ]
    cases += [[16, between, "", first, last] for between in range(15) for first in (0, 1) for last in (0, 1)]
    correct = 0
    for case, found in zip(cases, calls(page, "keyframe_places", "places", cases), strict=True):
        try:
            expected = places(*case)
        except ValueError:
            assert found["problem"], case
        else:
            assert found == {"taken": expected, "problem": None}, case
            correct += 1
    assert 50 < correct < len(cases) - 50


def test_masked_pictures_are_where_the_clip_has_them(page):
    chance = random.Random(SEED)
    cases = [
        [sorted(chance.sample(range(6), chance.randint(0, 6))), 6, pictures] for pictures in range(4) for _ in range(40)
    ]
    found = calls(page, "keyframe_places", "assigned", cases, "([kept, ...rest]) => [new Set(kept), ...rest]")
    for (kept, frames, pictures), shown in zip(cases, found, strict=True):
        try:
            expected = assign_keyframes(frame_mask(",".join(map(str, kept)) or "all", frames), pictures)
        except ValueError:
            expected = None
        assert shown == expected, (kept, pictures)


@pytest.mark.parametrize(
    ("picture", "frame", "text"),
    [(1, 6, "6, 10"), (2, 5, "10, 5"), (1, 5, "5, 10"), (1, 15, None), (1, 0, None), (0, 3, None), (3, 9, None)],
)
def test_a_moved_picture_changes_places_with_its_own_kind_only(page, picture, frame, text):
    assert call(page, "keyframe_places", "movedPlaces", [0, 5, 10, 15], picture, frame, 1, 1) == text
