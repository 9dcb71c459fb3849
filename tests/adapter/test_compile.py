"""torch.compile as ComfyUI's TorchCompileModel applies it."""


def test_one_graph_with_the_host_s_hooks_and_attention(run_in_host):
    report = run_in_host("compiling.py")
    assert report["graphs"] == 1
    assert report["difference"] < 1e-4
