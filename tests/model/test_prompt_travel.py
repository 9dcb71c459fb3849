"""The script of a prompt that changes along a clip."""

import pytest

from seine_model.prompt_travel import PromptAt, parse_prompt_travel, weights


def test_lines_are_read_in_the_order_of_their_frames():
    script = "# a comment\n\n-1: night\nframe 4： noon: bright\n 0 : morning\n"
    assert parse_prompt_travel(script, 10) == [
        PromptAt(0, "morning"),
        PromptAt(4, "noon: bright"),
        PromptAt(9, "night"),
    ]


def test_prompts_are_blended_evenly_or_held():
    prompts = [PromptAt(2, "a"), PromptAt(6, "b")]
    shares = [weights(prompts, frame, True) for frame in range(8)]
    assert shares[:3] == [[(0, 1.0)]] * 3 and shares[6:] == [[(1, 1.0)]] * 2
    assert shares[3:6] == [[(0, 0.75), (1, 0.25)], [(0, 0.5), (1, 0.5)], [(0, 0.25), (1, 0.75)]]
    assert [weights(prompts, frame, False) for frame in range(8)] == [[(0, 1.0)]] * 6 + [[(1, 1.0)]] * 2


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("", "prompts: there is none"),
        ("a red ball", r'line 1: cannot read "a red ball"'),
        ("0: a\n16: b", "line 2: frame 16 is outside the clip: its frames are 0 to 15"),
        ("-17: a", "line 1: frame -17 is outside"),
        ("15: a\n-1: b", "line 2: frame 15 has a prompt already"),
    ],
)
def test_what_cannot_be_meant_is_named(script, message):
    with pytest.raises(ValueError, match=message):
        parse_prompt_travel(script, 16)
