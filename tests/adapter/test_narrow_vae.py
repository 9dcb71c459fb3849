"""Channels of a VAE that are always zero are not computed, and nothing else changes."""

EXACT = 1e-5


def test_zero_channels_are_left_out_and_nothing_changes(run_in_host):
    found = run_in_host("narrow_vae.py")
    shipped, biased = found.pop("shipped"), found.pop("a bias alone")
    assert all(case["error"] < EXACT for case in found.values()), found
    assert shipped["error"] < EXACT and shipped["saved alike"]
    assert shipped["decoding"] < 0.25
    whole = found["all are used"]
    assert not whole["touched"] and whole["decoding"] == whole["encoding"] == 1
    assert found["fewer where pictures are large"]["decoding"] < 0.7
    assert found["fewer where pictures are large"]["encoding"] == 1
    assert found["fewer inside a block"]["decoding"] < 0.9
    # A layer from which nothing comes, and a picture without one of its colours.
    assert found["nothing comes out of a layer"]["encoding"] < 1
    assert found["the last of a chain"]["touched"] is False
    # Outputs that only a bias fills count as well.
    assert biased < EXACT
