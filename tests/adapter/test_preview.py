"""The host's latent preview of a clip is a grid of its frames, which the interface plays."""


def test_preview_shows_all_frames(run_in_host):
    found = run_in_host("preview.py")
    assert found["size"] == [32, 24]  # 2 columns of 16 x 8, 3 rows
    assert found["red"] == [4]
    assert found["sent"] == [["seine_preview_layout", {"columns": 2, "rows": 3, "frames": 6}, "browser"]]
    assert found["without"]
    # A previewer of another pack has its frames back, one by one, and no layout is announced for them.
    assert [shape for shape, _ in found["played"]] == [[2, 8, 16, 3]] * 3
    assert [red for _, red in found["played"]] == [-1, -1, 1]
    # A step of the pack's nodes and one of a stock sampler, whose host sends one without a picture before ours; where
    # the user chose, what was chosen.
    assert found["asked"] == {
        "nothing chosen": [[1, 3, 32], [2, 3, 0], [2, 3, 32]],
        "none chosen": [[1, 3, 0], [2, 3, 0]],
        "chosen in the host": [[1, 3, 32], [2, 3, 32]],
        "another sampler's callback": True,
    }
    grids = {int(frames): shape for frames, shape in found["grids"].items()}
    assert grids[1] == [1, 4, 8, 16]
    assert grids[16] == [1, 4, 48, 48]
    assert grids[200][2] * grids[200][3] >= 64 * 8 * 16 > 63 * 8 * 16
