"""What each part has of a step's work, by one way of counting beside another."""

from benchmarks import shares, unet_worker


def test_all_work_is_counted_once_and_named():
    flops, moved, over_frames = shares.count(64, 64, 4, unet_worker.SMALL)
    whole = unet_worker.count_flops((2, unet_worker.SMALL.in_channels, 4, 8, 8), unet_worker.SMALL)
    assert flops.total() == whole
    named = {*shares.PARTS.values(), *shares.PROJECTIONS.values(), shares.REST}
    assert set(moved) == named
    assert all(flops[part] > 0 for part in named if "norm" not in part and part != shares.REST)
    assert 0 < over_frames < moved[shares.OVER_FRAMES]
