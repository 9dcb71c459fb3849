"""weight_dtype of the loaders, on the CPU."""

import pytest


@pytest.fixture(scope="session")
def report(run_in_host):
    return run_in_host("number_formats.py")


@pytest.mark.parametrize(
    ("dtype", "error"),
    [("default", 0.02), ("fp32", 0), ("fp16", 0.02), ("bf16", 0.1), ("fp8_e4m3fn", 0.5), ("fp8_e5m2", 0.8)],
)
def test_every_weight_dtype_samples(report, dtype, error):
    assert report["errors"][dtype] <= error


def test_bfloat16_is_computed_with_where_the_processor_can(report):
    fast = "torch.bfloat16" if report["processor has bfloat16"] else "torch.float32"
    computed = {name: fast if name == "bf16" else "torch.float32" for name in report["errors"]}
    assert report["computes in"] == computed


def test_a_device_without_fp8_is_given_plain_weights(report):
    found = report["without fp8"]
    assert found["with fp8"] == ["QuantizedTensor", "Tensor"]
    assert not any("float8" in dtype for dtype in found["scaled"])
    assert found["asked for"] == "weight_dtype: cpu has no float8_e4m3fn: choose default or fp16."
