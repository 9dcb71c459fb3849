"""Long films inside a real ComfyUI: what is kept, what is made again, and what is refused."""

import pytest


@pytest.fixture(scope="module")
def report(run_in_host):
    return run_in_host("films.py")


def test_clips_are_continued_and_stay_as_they_were(report):
    assert report["after"] == {"windows": [8, 8], "frames": [15, 10], "given kept": True, "finite": True}
    assert report["before"] == {"windows": [8, 8], "given kept": True}
    assert report["images"] == {"windows": [8], "encoded": True}


def test_gaps_and_loops_are_closed(report):
    assert report["between"] == {"windows": [8, 8], "given kept": True}
    assert report["loop"] == {"windows": [8], "given kept": True}


def test_a_longer_film_goes_on_from_the_finished_windows(report):
    assert report["longer"] == {"windows": [8], "same start": True}


def test_what_changes_the_result_is_made_anew(report):
    assert report["another seed"] == [8, 8]
    assert report["another prompt"] == [8, 8]
    assert report["patched"] == {"windows": [8, 8], "differs": True, "plain again": True, "patched again": True}


def test_story_has_its_pictures_at_the_exact_frames(report):
    assert report["story"]["frames"] == 10 + 6 + 4 + 5 + 1
    assert report["story"]["keyframes"] == [True, True, True]
    assert report["story"]["timeline"].splitlines() == [
        "frames 0 to 9: shot: a red ball",
        "frames 10 to 15: transition: it turns blue",
        "frames 16 to 19: shot: a blue ball",
        "frames 20 to 24: transition: it turns green",
        "frames 25 to 25: shot",
    ]


def test_a_changed_prompt_remakes_its_shot_and_the_transitions_beside_it(report):
    assert report["told again"] == {"windows": [], "same": True}
    assert len(report["story"]["windows"]) == 6
    changed = report["middle shot changed"]
    # The shot, and of each transition the window that sees it.
    assert changed == {"windows": [8, 8, 8], "same shots": True, "others differ": True}


def test_another_seed_of_a_shot_rolls_it_and_the_transitions_beside_it(report):
    assert report["rolled again"] == {"windows": [8, 8, 8], "same shots": True, "others differ": True}


def test_a_cut_joins_shots_as_they_are(report):
    assert report["cut"] == {"frames": 10 + 4 + 1, "first shot": True}


def test_images_one_by_one_tell_the_same_story(report):
    assert report["one by one"]


def test_a_story_ending_with_a_transition_leads_back_to_its_start(report):
    assert report["looped"] == {"windows": [8], "frames": 31, "same film": True}


def test_a_cancelled_film_goes_on_where_it_was(report):
    total = len(report["story"]["windows"])
    assert len(report["cancelled after"]) == 2
    assert len(report["after the cancel"]) == total - 2
    assert len(report["damaged store"]) == total


def test_a_film_larger_than_the_store_goes_on_all_the_same(report):
    assert report["larger than the store"] == []
    made, left = report["left of it"]
    assert made == left, "another film's windows take its place"


def test_mistakes_say_what_to_do(report):
    expected = {
        "nothing": "latent, images: nothing is wired in",
        "both": "latent, images: both are wired in",
        "short": "overlap is 2, but the clip has 1 frame: lower overlap",
        "overlap": "choose it from 1 to 3",
        "loop overlap": "at both ends leaves nothing to generate in windows of 8: choose it from 1 to 3",
        "next unused": "next clip: it is wired in, but direction is after",
        "next missing": "next_latent, next_images: nothing is wired in",
        "next size": "next clip: it is 48x64, the clip is 32x32",
        "size": "the nearest valid size is 32x32; scale the images",
        "video latent": "latent: expected frames as batch rows",
        "story images": "it has 3 shots",
        "story line": 'line 1: cannot read "shot 4 a ball"',
        "story overlap": "choose it from 1 to 3",
    }
    for name, text in expected.items():
        assert text in report["errors"][name], name
    assert report["errors"].keys() == expected.keys()
