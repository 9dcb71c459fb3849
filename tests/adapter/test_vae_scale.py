"""Keyframes that came through another model's VAE are noticed."""


def test_another_vae_is_named_and_the_right_one_is_not(run_in_host):
    report = run_in_host("vae_scale.py")
    assert report["its own"] == report["nothing to generate"] == []
    for case in ("of another sign", "of another scale"):
        (words,) = report[case]
        assert "the VAE seems to be another model's. Take that of Stable Diffusion 1.4 or 1.5" in words
