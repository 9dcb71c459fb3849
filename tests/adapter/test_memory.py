"""When memory runs out: smaller pieces first, then words that help."""


def test_smaller_pieces_are_tried_before_giving_up(run_in_host):
    report = run_in_host("memory.py")
    assert report["two frames fit"] < 1e-4
    assert report["tries for two frames"] == [["whole", rows, 0] for rows in (6, 3, 1, 1, 1, 1, 1, 1)]
    shape, difference = report["tiles fit"]
    assert shape == [6, 256, 256, 3] and difference < 0.02
    sides = [side for kind, _, side in report["tries for tiles"] if kind == "tiles"]
    assert sides[:3] == [512, 256, 128] and set(sides[3:]) == {128}
    assert "tiles of 128 pixels" in report["nothing fits"] and "--cpu-vae" in report["nothing fits"]

    assert report["one half at a time"] < 5e-3  # the host keeps latents in half precision
    # The batch that was too large is not tried again.
    assert report["rows tried"] == [8] + [4] * 6
    assert "4 frames of 64x64" in report["clip too large"] and "lower width and height" in report["clip too large"]
