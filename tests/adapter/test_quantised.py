"""Files of int8 and scaled fp8 in the host."""

import pytest

FORMATS = {"int8": "torch.int8", "fp8_scaled": "torch.float8_e4m3fn"}


@pytest.fixture(scope="module")
def report(run_in_host):
    return run_in_host("quantised.py")


@pytest.fixture(params=FORMATS)
def found(request, report):
    return report[request.param]


def test_scales_keep_what_rounding_alone_loses(report):
    assert report["int8"]["plain"] < report["fp8_scaled"]["plain"] < report["fp8 without scales"]


@pytest.mark.parametrize("number_format", FORMATS)
def test_linear_layers_and_convolutions_are_held_as_they_are_stored(report, number_format):
    stored = FORMATS[number_format]
    assert report[number_format]["held"] == [stored, stored, "torch.float32"]
    assert report[number_format]["size"] < 0.3


def test_a_lora_acts_on_top_and_goes_again(found, report):
    assert found["with a LoRA"] < report["lora alone"] / 4
    assert found["after the LoRA"] == 0


def test_with_half_of_the_weights_kept_aside_it_is_the_same_clip(found):
    assert found["in parts"] == 0


def test_the_host_s_savers_write_what_was_read(found):
    assert found["saved as read"]
    assert found["saved and loaded"] == 0


def test_a_lora_is_in_what_is_saved(found, report):
    assert found["saved with a LoRA"] < report["lora alone"] / 4


def test_models_of_different_formats_merge(found):
    # Mixed weights are rounded stochastically: twice the variance of rounding to the nearest, and a quarter of the old.
    assert max(found.get("merged", 0), found["merged by parts"]) < 2 * found["plain"]


def test_a_weight_dtype_or_an_older_host_multiplies_the_scales_in(found):
    assert set(found["held without"]).isdisjoint(FORMATS.values())
    assert found["on a host without"] < 1.5 * found["plain"]
    assert found["as fp32"] < 1.5 * found["plain"]
