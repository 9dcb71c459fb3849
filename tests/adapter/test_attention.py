"""The attention of this host."""


def test_the_cpu_has_pytorch_s_unless_another_is_chosen(run_in_host):
    report = run_in_host("attention.py")
    assert report["used"] == ["attention_pytorch", report["fallback"]]
    assert report["fallback"] == "attention_sub_quad"
    assert report["difference"] < 1e-5
