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


@pytest.mark.parametrize("way", ["keyframes", "mask"])
def test_keyframes_are_refused(report, way):
    assert report[way].startswith("positive, negative: they carry keyframes, and this model (LaVie's base)")


def test_films_and_merges_with_seine_are_refused(report):
    assert report["film"].startswith("model: a film goes on from frames it has")
    assert report["merged with SEINE"].startswith("model2: its network is not built as that of model1")
