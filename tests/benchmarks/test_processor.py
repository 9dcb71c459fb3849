"""The processor's part of a step: that the benchmark's stand-ins are asked for what a step asks for."""

import pytest

from benchmarks import processor

pytestmark = pytest.mark.one_host


def test_every_way_is_timed(run_in_host):
    found = run_in_host(processor.__file__.replace(".py", "_in_host.py"), runs=1)
    assert (found["paged"], found["layers"]) == (346, 487)
    assert [name.split(",")[0] for name, *_ in found["ms"]] == [
        "the network alone",
        "in ComfyUI",
        "in ComfyUI",
        "the same",
    ]
    assert all(0 < least == median for _, least, median in found["ms"])
