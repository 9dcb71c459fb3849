"""The script of a film."""

import pytest

from seine_model.story import SHOT, TRANSITION, parse_story

FILM = """
# a comment
shot 2s: a boat on a lake
transition 14: the lake freezes

Shot 1.5 seconds: a frozen lake
"""


def test_segments_follow_each_other_to_the_frame():
    segments = parse_story(FILM, 8, 2)
    assert [(each.kind, each.start, each.frames) for each in segments] == [
        (SHOT, 0, 16),
        (TRANSITION, 16, 14),
        (SHOT, 30, 12),
    ]
    assert [each.prompt for each in segments] == ["a boat on a lake", "the lake freezes", "a frozen lake"]
    assert segments[1].describe() == "frames 16 to 29: transition: the lake freezes"


def test_rounding_of_seconds_does_not_add_up():
    script = "\n".join("shot 0.3s: a\ntransition 0.3s: b" for _ in range(10))
    segments = parse_story(script, 8, 10)
    assert segments[-1].start + segments[-1].frames == 48  # 20 times 0.3 s at 8 frames per second
    assert {each.frames for each in segments} == {2, 3}


def test_frames_are_exact_whatever_the_rate():
    segments = parse_story("shot 7: a\ntransition 11: b\nshot 1:", 23.976, 2)
    assert [each.frames for each in segments] == [7, 11, 1]
    assert segments[2].prompt == "" and segments[2].describe() == "frames 18 to 18: shot"


def test_a_transition_at_the_end_is_allowed():
    assert parse_story("shot 8: a\ntransition 8: b", 8, 1)[-1].kind == TRANSITION


def test_a_cut_has_no_frames():
    segments = parse_story("shot 3: a\ncut\nshot 2: b\nCut:\nshot 1:\ntransition 4: c", 8, 3)
    assert [(each.kind, each.start) for each in segments] == [(SHOT, 0), (SHOT, 3), (SHOT, 5), (TRANSITION, 6)]


def test_a_segment_may_have_a_seed_of_its_own():
    segments = parse_story("shot 3 seed 7: a\ntransition 0.5s  SEED 12345678901: b\nshot 2:", 8, 2)
    assert [each.seed for each in segments] == [7, 12345678901, None]


def test_the_script_as_it_is_written_in_chinese_and_in_a_hurry():
    segments = parse_story(
        "镜头 2秒：湖上的船\n转场 12帧 种子 3：湖水结冰\n镜头1.5s：冰\n切\nshot 2sec：a\ntransition 4：b", 8, 3
    )
    assert [(each.kind, each.frames, each.seed) for each in segments] == [
        (SHOT, 16, None),
        (TRANSITION, 12, 3),
        (SHOT, 12, None),
        (SHOT, 16, None),
        (TRANSITION, 4, None),
    ]
    assert [each.prompt for each in segments] == ["湖上的船", "湖水结冰", "冰", "a", "b"]


@pytest.mark.parametrize(
    ("script", "pictures", "message"),
    [
        ("shot 2s a boat", 1, 'line 1: cannot read "shot 2s a boat"'),
        ("shot 16: a\n\npan 8: b", 1, "line 3: cannot read"),
        ("transition 8: a\nshot 8: b", 1, "line 1: here comes a transition.*put a shot before it"),
        ("shot 8: a\nshot 8: b", 2, "line 2: here comes a shot.*put a transition, or cut, before it"),
        ("shot 8: a\ncut\ncut\nshot 8: b", 2, "line 3: here comes a cut.*put a shot before it"),
        ("cut\nshot 8: a", 1, "line 1: here comes a cut"),
        ("shot 8: a\ncut", 1, "it ends with a cut, which leads nowhere"),
        (f"shot 8 seed {10**19 - 1}: a", 1, "line 1: seed 9999999999999999999 is larger"),
        ("shot 8: a\ntransition 0: b\nshot 8: c", 2, "line 2: the transition has no frames"),
        ("shot 0.01s: a", 1, "line 1: the shot has no frames"),
        ("shot 2.5: a", 1, "line 1: 2.5 frames is not a whole number; for seconds write 2.5s"),
        ("# nothing", 0, "it has no shot"),
        ("shot 2000000s: a", 1, "line 1: with this shot the film is longer than 100000 frames: shorten it"),
        ("shot 60000: a\ntransition 40001: b", 1, "line 2: with this transition the film is longer"),
        ("shot 10000000000: a", 1, "line 1: with this shot the film is longer"),
        (f"shot 1{'0' * 400}: a", 1, "line 1: with this shot the film is longer"),
        ("shot 8: a\ntransition 8: b\nshot 8: c", 3, "it has 2 shots.*3 images are wired in"),
        ("shot 8: a\ntransition 8: b\nshot 8: c", 1, "it has 2 shots.*1 image is wired in"),
    ],
)
def test_mistakes_are_named(script, pictures, message):
    with pytest.raises(ValueError, match=f"(?s)story.*{message}"):
        parse_story(script, 8, pictures)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_frames_per_second_that_cannot_be_are_named(fps):
    with pytest.raises(ValueError, match="fps: it is"):
        parse_story("shot 8: a", fps, 1)
