"""What the loaders give can be made anew by the host: for another device, or without paging."""


def test_each_part_is_loaded_anew(run_in_host):
    """Equal weights, in memory of their own, in a model of its own; both ways the host has of asking."""
    assert run_in_host("reloading.py") == {name: [[True] * 3] * 2 for name in ("MODEL", "CLIP", "VAE")}
