"""ControlNets know their own schedule, and see the frames that are sampled."""

import pytest


@pytest.fixture(scope="session")
def report(run_in_host):
    return run_in_host("controls.py")


def test_what_adds_nothing_changes_nothing(report):
    assert report["changes nothing"]


def test_timesteps_are_those_of_as_much_noise(report):
    assert report["as noisy as 500"] == 708
    assert report["steps"] == [999, 666, 333, 0]
    assert report["timesteps"] == report["as noisy"] == [999, 924, 469, 0]


def test_latents_have_unit_variance_where_all_is_noise(report):
    assert 0.9 < report["scale of what it sees"][0] < 1.1


def test_hints_of_frames(report):
    assert report["frames"] == [0, 1, 2, 3]
    anchored = list(range(5, 14))  # the window from 6 on, and the frame before it that the host adds
    assert report["in windows"] == [list(range(8)), anchored]
    assert report["one hint in windows"] == [[0]]


def test_hints_of_a_film(report):
    """Three frames are known; windows have eight, and may reach beyond the film's end."""
    assert report["film"] == {
        "after, all frames": [[1, 2, 3, 4, 5, 6, 7, 8], [7, 8, 9, 10, 11, 11, 11, 11]],
        "after, new frames": [[0, 0, 0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 8, 8, 8]],
        "before": [[0, 0, 1, 2, 3, 4, 5, 6]],
        "loop": [[1, 2, 3, 4, 5, 6, 7, 0], [2, 3, 4, 5, 6, 7, 0, 1]],
    }
    assert (
        "there are 7 hints of a ControlNet, the film has 12 frames, 9 of them new" in report["film of another length"]
    )


def test_a_control_lora_is_refused_with_words(report):
    assert "use the whole ControlNet for Stable Diffusion 1.5" in report["Control-LoRA"]
