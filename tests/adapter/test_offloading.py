"""Weights that are not all on the card, on one that the CPU poses as: `--lowvram`, `--novram`, and what is between."""

import pytest

pytestmark = pytest.mark.one_host


@pytest.fixture(scope="session")
def report(run_in_host):
    return run_in_host("offloading.py", formats=["int8"])


def test_a_clip_is_the_same_wherever_the_weights_lie(report):
    found = report["formats"]["int8"]
    there = [found[stays]["there"] for stays in ("all", "half", "nothing")]
    assert there[0] == 1.0 and 0.3 < there[1] < 0.6 and there[2] == 0.0
    assert 0 < found["all"]["plain"] < 0.05
    assert found["half"]["plain"] == found["nothing"]["plain"] == pytest.approx(found["all"]["plain"], rel=1e-3)


def test_a_lora_acts_on_them_all_and_leaves_nothing_behind(report):
    """Where weights stay on the card it is rounded with them; where they come for each step it is not: closer."""
    found = report["formats"]["int8"]
    for facts in found.values():
        assert facts["LoRA"] < 0.1 * report["LoRA alone"]
        assert facts["LoRA"] < 1.1 * found["all"]["LoRA"]
        assert facts["after the LoRA"] == 0.0
