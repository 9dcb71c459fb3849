"""The attention of this host."""

import pytest


@pytest.fixture(scope="session")
def report(run_in_host):
    return run_in_host("attention.py")


def test_the_cpu_has_pytorch_s_unless_another_is_chosen(report):
    assert report["used"] == ["attention_pytorch", report["fallback"]]
    assert report["fallback"] == "attention_sub_quad"
    assert report["difference"] < 1e-5


def test_sage_attention_is_not_asked_for_heads_it_refuses(report):
    assert report["with sage"] == ["attention_sage", "attention_pytorch"]


def test_cudnn_s_is_taken_for_pytorch_s_and_for_no_other(report):
    assert report["cuDNN"] == {"PyTorch's": True, "another": False, "an override": False}
