"""LaVie's base model, which makes clips of text alone."""

import pytest

from tests import golden_data as golden


@pytest.fixture(scope="module")
def report(run_in_host, tmp_path_factory):
    return run_in_host("lavie.py", golden=str(golden.HERE), folder=str(tmp_path_factory.mktemp("lavie")))


@pytest.mark.parametrize("method", ["ddim", "ddpm"])
def test_the_host_s_sampling_is_lavie_s(report, method):
    found = report["trajectories"][method]
    assert found["steps"] == 10
    assert found["x"] <= 1e-3
    assert found["schedule"] <= 1e-6, "ddim_uniform has its timesteps"


def test_it_samples_with_or_without_the_node_for_keyframes(report):
    assert report["through image to video"]
    assert report["reloaded"]


@pytest.mark.parametrize(("way", "name"), [("keyframes", "positive, negative"), ("mask", "mask")])
def test_keyframes_are_refused(report, way, name):
    assert report[way].startswith(
        f"{name}: frames to keep are given, and this model (LaVie's base) makes clips of text alone"
    )


def test_a_mask_that_keeps_nothing_is_no_keyframe(report):
    assert report["mask of text to video"]


def test_prompts_for_clips_of_other_lengths_are_refused(report):
    assert "positive and negative are for different clips" in report["another length"]


@pytest.mark.parametrize("node", ["film", "extend", "story"])
def test_films_are_refused_before_anything_is_encoded(report, node):
    assert report[node].startswith("model: a film goes on from frames it has, and this model (LaVie's base) reads none")


def test_a_lora_acts_and_is_saved(report):
    assert report["lora"] == {"applied": True, "acts": True, "in the saved file": True}


def test_it_merges_with_its_own_kind(report):
    assert report["merged"] == {"all of one": True, "none of it": True}
    assert report["merged with SEINE"].startswith("model2: its network is not built as that of model1")
