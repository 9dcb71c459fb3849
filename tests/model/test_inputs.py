"""Checks of what a node is given: each names the input and says what to do."""

import math

import pytest
import torch

from seine_model.inputs import (
    check_audio,
    check_conditioning,
    check_file_prefix,
    check_images,
    check_latents,
    check_mask,
    check_number,
)

NAN, INF = math.nan, math.inf
GOOD_IMAGES, GOOD_LATENTS = torch.rand(2, 8, 8, 3), torch.randn(2, 4, 3, 3)
SOUND = {"waveform": torch.zeros(1, 2, 9), "sample_rate": 44100}
PROMPT = torch.randn(1, 77, 64)


def broken(values, what):
    values = values.clone()
    values.view(-1)[-1] = what
    return values


BAD = {
    "a number that is none": (check_number, (NAN, "cfg", 0.0), "give a number"),
    "an infinite number": (check_number, (INF, "fps", 0.1), "give a number"),
    "too small a number": (check_number, (0, "frames_at_a_time", 1), "give a number from 1"),
    "too large a number": (check_number, (2.0, "denoise", 0.0, 1.0), "from 0 to 1"),
    "a word for a number": (check_number, ("8", "fps", 0.1), "give a number"),
    "latents of 3 channels": (check_latents, (GOOD_LATENTS[:, :3], "samples", "Use"), "got [2, 3, 3, 3]"),
    "latents of 16 channels": (check_latents, (torch.zeros(1, 16, 2, 2), "samples", "Use"), "[frames, 4, h, w]"),
    "latents of a video model": (check_latents, (GOOD_LATENTS[None], "samples", "Use"), "batch rows"),
    "no latents": (check_latents, (GOOD_LATENTS[:0], "samples", "Use"), "batch rows"),
    "whole numbers for latents": (check_latents, (GOOD_LATENTS.int(), "samples", "Use"), "int32"),
    "no tensor": (check_latents, (None, "samples", "Use"), "NoneType"),
    "images x 255": (check_images, (GOOD_IMAGES * 255, "keyframes"), "bring them to 0 to 1"),
    "negative images": (check_images, (GOOD_IMAGES * 2 - 1.9, "keyframes"), "bring them to 0 to 1"),
    "bytes": (check_images, ((GOOD_IMAGES * 255).byte(), "keyframes"), "divide them by 255"),
    "true and false": (check_images, (GOOD_IMAGES > 0.5, "keyframes"), "divide them by 255"),
    "an image that is not a number": (check_images, (broken(GOOD_IMAGES, NAN), "images"), "image 1 of the batch"),
    "an infinite image": (check_images, (broken(GOOD_IMAGES, INF), "images"), "fix it there"),
    "no images": (check_images, (GOOD_IMAGES[:0], "reference"), "at least one image"),
    "images without pixels": (check_images, (GOOD_IMAGES[:, :0], "reference"), "at least one pixel"),
    "one image without a batch": (check_images, (GOOD_IMAGES[0], "images"), "[n, H, W, channels]"),
    "a mask that is not a number": (check_mask, (broken(torch.ones(4, 8, 8), NAN), "mask"), "SEINE Mask Builder"),
    "a mask without pixels": (check_mask, (torch.ones(4, 0, 8), "mask"), "SEINE Mask Builder"),
    "numbers for a mask": (check_mask, (torch.ones(4), "mask"), "SEINE Mask Builder"),
    "no sound": (check_audio, ({}, "audio"), "use Load Audio"),
    "several sounds": (check_audio, ({"waveform": torch.zeros(2, 1, 9), "sample_rate": 8000}, "audio"), "[2, 1, 9]"),
    "sound without a rate": (check_audio, ({"waveform": torch.zeros(1, 1, 9)}, "audio"), "sample rate is None"),
    "sound that no video has": (check_audio, (SOUND | {"sample_rate": 1}, "audio"), "bring it to 44100"),
    "sound of three channels": (check_audio, (SOUND | {"waveform": torch.zeros(1, 3, 9)}, "audio"), "mono or stereo"),
    "no prompt": (check_conditioning, ([], "positive"), "wire in CLIP Text Encode"),
    "nothing for a prompt": (check_conditioning, (None, "positive"), "wire in CLIP Text Encode"),
    "a prompt that is not a number": (check_conditioning, ([[broken(PROMPT, NAN), {}]], "negative"), "encode it again"),
    "a zero in a name": (check_file_prefix, ("a\0b", "filename_prefix"), "letters and digits"),
    "a long name": (check_file_prefix, ("é" * 150, "filename_prefix"), "300 bytes"),
    "half a character": (check_file_prefix, ("a\ud800", "filename_prefix"), "write it anew"),
    "no name": (check_file_prefix, (None, "filename_prefix"), "letters and digits"),
}


@pytest.mark.parametrize("kind", BAD)
def test_refused_by_name_with_a_remedy(kind):
    check, given, words = BAD[kind]
    with pytest.raises(ValueError) as error:
        check(*given)
    assert str(error.value).startswith(f"{given[1]}: ") and words in str(error.value)


def test_what_is_right_passes():
    check_number(8, "fps", 0.1)
    check_number(0.0, "denoise", 0.0, 1.0)
    check_latents(GOOD_LATENTS, "samples", "Use")
    check_images(GOOD_IMAGES * 1.4 - 0.2, "images")  # resizing overshoots
    check_mask(torch.ones(8, 8), "mask")
    check_conditioning([[PROMPT, {}]], "positive")
    check_file_prefix("folder/" + "a" * 200, "filename_prefix")
