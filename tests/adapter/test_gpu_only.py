"""On a card that the CPU poses as: nothing on the CPU meets what is kept on the card, by --gpu-only or in pages."""

import pytest

EQUAL, IN_HALVES = 2e-4, 0.1
"""Relative difference of samples in float32 whose attention is summed up in another order; of some kept in fp16."""

pytestmark = pytest.mark.one_host


@pytest.fixture(scope="session")
def reports(run_in_host):
    some = ["image_to_video", "mask_on_the_sampler", "extended"]
    halves = {"flags": {"fp16_intermediates": True}, "only": some}
    runs = {"gpu only": {"flags": {"gpu_only": True}}, "halves": halves, "paged": {"flags": {}, "paged": True}}
    return run_in_host("gpu_only.py", runs=runs)


def test_the_graphs_have_every_node(reports):
    assert sorted(reports["unused"]) == ["SEINECheckpointLoader", "SEINELoadBatch", "SEINEModelLoader"]


def test_every_graph_runs_and_makes_what_the_cpu_makes(reports):
    for name, facts in reports["gpu only"]["graphs"].items():
        assert facts["error"] == "", name
        assert max(facts["differences"].values()) < EQUAL, name


def test_every_graph_does_with_weights_in_pages(reports):
    """As under dynamic VRAM, of the UNet, the VAE and the text encoder."""
    assert len(reports["paged"]["paged"]) == 3 and min(reports["paged"]["paged"]) > 0
    assert reports["paged"]["graphs"].keys() == reports["gpu only"]["graphs"].keys()
    for name, facts in reports["paged"]["graphs"].items():
        assert facts["error"] == "", name
        assert max(facts["differences"].values()) < EQUAL, name
        assert set(facts["places"].values()) == {"cpu float32"}, name


def test_what_is_handed_on_stays_on_the_card(reports):
    for name, facts in reports["gpu only"]["graphs"].items():
        assert set(facts["places"].values()) == {"cuda:0 float32"}, name


def test_norms_of_maps_as_they_lie_are_the_host_s_own(reports):
    assert reports["norms"]["calls"] > 40
    assert 0 < reports["norms"]["difference"] < EQUAL


def test_the_ddpm_sampler_waits_for_the_card_before_the_first_step_alone(reports):
    waits = reports["gpu only"]["waits"]
    assert waits["3"] == waits["6"]


def test_without_the_flag_it_is_on_the_cpu_in_half_precision_where_that_was_asked_for(reports):
    graphs = reports["halves"]["graphs"]
    assert len(graphs) == 3
    for name, facts in graphs.items():
        assert facts["error"] == "", name
        assert set(facts["places"].values()) == {"cpu float16"}, name
        assert max(facts["differences"].values()) < IN_HALVES, name
