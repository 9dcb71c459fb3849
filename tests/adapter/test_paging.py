"""Dynamic VRAM on a card that the CPU poses as: pages come, stay or are taken away, and a clip is the same."""

import pytest

pytestmark = pytest.mark.one_host
WAYS = ["all there", "taken away", "few", "copies"]
LIMITS = {"default": (0.005, 0.01), "bf16": (0.05, 0.05), "fp8_e4m3fn": (0.05, 0.1), "int8": (0.05, 0.1)}
"""How far clips may be from fp32, without and with a LoRA, which is rounded with the weights."""


@pytest.fixture(scope="session")
def report(run_in_host):
    formats = {"default": WAYS, "bf16": ["all there"], "int8": ["taken away"]}
    kernels = {name: ["all there"] for name in LIMITS} | {"default": ["all there", "none"]}
    return run_in_host("paging.py", formats=formats, kernels=kernels)


def test_a_clip_is_the_same_whatever_is_there(report):
    found = report["formats"]["default"]
    assert all(facts["dynamic"] for facts in found.values())
    assert 0 < found["all there"]["plain"] < 0.005
    assert {facts["plain"] for facts in found.values()} == {found["all there"]["plain"]}
    assert 0 < report["formats"]["int8"]["taken away"]["plain"] < 0.05
    assert {facts["again"] for each in report["formats"].values() for facts in each.values()} == {0.0}


def test_what_is_there_is_not_cast_again_and_all_is_asked_for(report):
    found = report["formats"]["default"]
    casts = {way: found[way]["cast"] for way in found}
    layers = casts["copies"]
    assert casts["all there"] == 0 < casts["taken away"] < layers == casts["few"]
    assert found["all there"]["asked"] == 2 * layers  # in each of two clips


def test_nor_is_what_the_file_has_in_another_dtype(report):
    # But for conv_in, by which a file is known, in each of two steps; a real one is large enough for pages.
    assert report["formats"]["bf16"]["all there"]["cast"] == 2
    assert 0 < report["formats"]["bf16"]["all there"]["plain"] < 0.05


def test_layers_that_multiply_in_fewer_bits_do_it_themselves(report):
    assert report["only cast"] == {"plain": True, "cast": True, "fp8": False, "mixed": False}


def test_what_was_asked_for_is_given_back_when_memory_runs_out(report):
    for facts in (facts for each in report["formats"].values() for facts in each.values()):
        assert all(said.startswith("Out of memory for one clip of 2 frames") for said in facts["stopped"])
        assert facts["in use"] == 0 and facts["after that"] == 0


def test_a_weight_is_as_its_input_needs_it(report):
    assert all(facts["in fp32"] for facts in report["formats"]["default"].values())


def test_a_lora_acts_on_them_and_leaves_nothing_behind(report):
    for facts in (facts for each in report["formats"].values() for facts in each.values()):
        assert facts["LoRA"] < 0.1 * report["LoRA alone"]
        assert facts["after the LoRA"] == 0.0


def test_kernels_get_weights_from_pages_and_from_streams_that_share_a_place(report):
    """PyTorch's operators stand in for them."""
    found = report["kernels"]
    assert found["default"]["all there"] == found["default"]["none"]
    for name, (plain, with_lora) in LIMITS.items():
        facts = found[name]["all there"]
        assert 0 < facts["plain"] < plain and 0 < facts["LoRA"] < with_lora, name
        assert 0 < facts["bypass"] < with_lora, name
        assert facts["in use"] == 0, name


def test_kernels_join_products_of_weights_in_any_dtype_but_where_layers_multiply_in_it(report):
    launched = {name: ways["all there"]["launched"] for name, ways in report["kernels"].items()}
    assert launched["bf16"] == launched["fp8_e4m3fn"] == launched["default"]
    assert launched["default"]["gated_product"] == launched["int8"]["gate"] == 10
    assert not {"gated_product", "quarters"} & launched["int8"].keys()
