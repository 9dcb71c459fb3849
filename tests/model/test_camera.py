"""Pictures as a moving camera sees a still one."""

import torch

from seine_model.camera import FARTHEST_ZOOM, moved_stills

PICTURE = torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(0))


def test_it_begins_where_it_is():
    seen = moved_stills(PICTURE, [0.0, 0.5], 0.5, -0.5, 1.0)
    assert torch.allclose(seen[0], PICTURE, atol=1e-5) and not torch.allclose(seen[1], PICTURE, atol=1e-2)


def test_right_and_up():
    (right,) = moved_stills(PICTURE, [1.0], 0.5, 0.0, 0.0)  # half of half the picture: 12 of 48 pixels
    assert torch.allclose(right[:, :36], PICTURE[:, 12:], atol=1e-5)
    assert torch.allclose(right[:, 36:], PICTURE[:, 36:].flip(1), atol=1e-5)
    (up,) = moved_stills(PICTURE, [0.5], 0.0, 0.5, 0.0)
    assert torch.allclose(up[4:], PICTURE[:-4], atol=1e-5)


def test_zoom():
    ramp = torch.linspace(-1, 1, 48).view(1, 48, 1).expand(32, -1, 1)
    (near,) = moved_stills(ramp, [1.0], 0.0, 0.0, 1.0)
    assert torch.allclose(near * FARTHEST_ZOOM, ramp, atol=1e-4)
    (far,) = moved_stills(ramp, [1.0], 0.0, 0.0, -1.0)
    assert torch.allclose(far[:, 16:32] / FARTHEST_ZOOM, ramp[:, 16:32], atol=1e-4)
