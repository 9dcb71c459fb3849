import pytest
import torch

from seine_model.masks import assign_keyframes, frame_mask, kept_frames
from seine_model.preprocessing import MID_GRAY, flatten_alpha, prepare_keyframes, rescale, resize, size_within
from tests import golden_data as golden

CASES = [
    ("essence_first1_24x56", ["i2v-essence.png"], "first1"),
    ("essence_first2_40x64", ["i2v-essence.png"], "first2"),
    ("transition1_onelast1_24x56", ["transition-1-first.png", "transition-1-last.png"], "onelast1"),
    ("transition1_onelast1_64x64", ["transition-1-first.png", "transition-1-last.png"], "onelast1"),
]


@pytest.mark.parametrize(("name", "files", "spec"), CASES)
def test_kept_frames_are_the_reference_s(name, files, spec):
    reference = {key: golden.tensors("preprocess")[f"{name}.{key}"] for key in ("video_input", "mask", "masked_video")}
    frames, _, height, width = reference["masked_video"].shape[1:]
    mask = frame_mask(spec, frames)
    assert torch.equal(mask, reference["mask"].flatten())
    images = prepare_keyframes(torch.cat([golden.image(file) for file in files]), width, height)
    clip = torch.full((frames, height, width, 3), MID_GRAY)
    clip[kept_frames(mask)] = images[assign_keyframes(mask, len(images))]
    assert golden.largest((clip * 2 - 1).movedim(-1, 1), reference["masked_video"][0]) <= 1e-6


def test_an_equal_size_is_left_exact():
    images = torch.rand(2, 16, 24, 3)
    for mode in ("stretch", "crop", "pad"):
        assert torch.equal(resize(images, 24, 16, mode), images)


def test_stretch_takes_samples_without_antialiasing():
    """Halving a one-pixel checkerboard: bilinear at pixel centres averages 2x2; a third of the size aliases."""
    board = (torch.arange(18)[:, None] + torch.arange(18)[None]) % 2
    images = board.float().view(1, 18, 18, 1).expand(-1, -1, -1, 3)
    assert golden.largest(resize(images, 9, 9), torch.full((1, 9, 9, 3), 0.5)) < 1e-6
    assert set(resize(images, 6, 6).flatten().tolist()) == {0.0, 1.0}


def test_crop_keeps_the_middle_and_the_aspect_ratio():
    images = torch.zeros(1, 32, 96, 3)
    images[:, :, 32:64] = 1  # a white square in the middle of a wide image
    assert torch.equal(resize(images, 32, 32, "crop"), torch.ones(1, 32, 32, 3))


def test_pad_shows_everything_on_black():
    out = resize(torch.ones(1, 32, 64, 3), 64, 64, "pad")
    assert out.shape == (1, 64, 64, 3)
    assert torch.equal(out[:, 16:48], torch.ones(1, 32, 64, 3))
    assert out[:, :16].sum() == 0 and out[:, 48:].sum() == 0


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(7, 5), (100, 30), (33, 77)])
def test_every_mode_reaches_the_size(mode, size):
    width, height = size
    out = resize(torch.rand(2, 41, 53, 3), width, height, mode)
    assert out.shape == (2, height, width, 3)
    assert 0 <= float(out.min()) and float(out.max()) <= 1


def test_transparency_shows_mid_gray():
    rgba = torch.rand(1, 4, 4, 4)
    rgba[..., 3] = 0
    assert torch.equal(flatten_alpha(rgba), torch.full((1, 4, 4, 3), MID_GRAY))
    rgba[..., 3] = 1
    assert torch.equal(flatten_alpha(rgba), rgba[..., :3])


def test_an_image_with_alpha_that_the_reference_cannot_read():
    out = prepare_keyframes(golden.image("i2v-sea-rgba.png"), 56, 24)
    assert out.shape == (1, 24, 56, 3)
    assert float(out.std()) > 0.05


def test_gray_images_become_rgb():
    assert flatten_alpha(torch.rand(2, 3, 3, 1)).shape == (2, 3, 3, 3)


@pytest.mark.parametrize(
    ("images", "mode", "message"),
    [
        (torch.tensor([0.0, float("nan")]).view(2, 1, 1, 1).expand(2, 8, 8, 3), "stretch", "image 1 .* NaN"),
        (torch.rand(0, 8, 8, 3), "stretch", "batch of images"),
        (torch.rand(1, 8, 8, 2), "stretch", "channels"),
        (torch.rand(1, 8, 8, 3), "squeeze", "squeeze"),
    ],
)
def test_bad_images_are_refused(images, mode, message):
    with pytest.raises(ValueError, match=message):
        prepare_keyframes(images, 16, 16, mode)


@pytest.mark.parametrize(
    ("given", "pixels", "made"),
    [
        ((1920, 1080), 512 * 320, (536, 304)),
        ((1080, 1920), 512 * 320, (304, 536)),
        ((384, 384), 512 * 320, (384, 384)),
        ((250, 130), 512 * 320, (248, 128)),
        ((4000, 10), 64, (160, 8)),
    ],
)
def test_a_size_within_keeps_the_shape_and_enlarges_nothing(given, pixels, made):
    assert size_within(*given, pixels, 8) == made


def test_what_is_rescaled_and_scaled_back_is_where_it_was():
    across = torch.linspace(0.2, 0.8, 250).view(1, 1, 250, 1).expand(1, 130, 250, 3)
    small = rescale(across, 64, 32)
    assert small.shape == (1, 32, 64, 3)
    back = rescale(small, 250, 130)
    assert (back - across)[:, :, 8:-8].abs().max() < 0.002
    assert rescale(across, 250, 130) is across
