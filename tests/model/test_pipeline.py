"""The reference's whole sampling script, recorded with a toy VAE and text encoder, to the last grey level."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seine_model.diffusion import ddim_sample, ddpm_sample, respaced_timesteps
from seine_model.masks import frame_mask
from tests import golden_data as golden

SCALE = 0.18215
RECORDINGS = [("pipeline_i2v", "first1", "ddpm", 8.0), ("pipeline_transition", "onelast1", "ddim", 5.0)]


def toy_encode(frames: Tensor, noise: Tensor) -> Tensor:
    """Frames ``[F, 3, H, W]`` in [-1, 1] to a sample of the toy posterior."""
    colour = 3 * F.avg_pool2d(frames, 8)
    mean = torch.cat((colour, colour.mean(1, keepdim=True)), dim=1)
    return mean + 0.05 * noise


def toy_decode(latents: Tensor) -> Tensor:
    return 0.03 * F.interpolate(latents[:, :3], scale_factor=8, mode="nearest")


def to_uint8(values: Tensor) -> Tensor:
    """The reference's conversion: floor(clamp((0.5 v + 0.5) * 255 + 0.5))."""
    return ((0.5 * values + 0.5) * 255 + 0.5).clamp(0, 255).to(torch.uint8)


@torch.no_grad()
@pytest.mark.parametrize(("name", "spec", "method", "scale"), RECORDINGS)
def test_pipeline_to_one_grey_level(name, spec, method, scale):
    recorded = golden.tensors(name)
    frames = recorded["mask"].shape[2]
    mask = frame_mask(spec, frames).view(1, 1, -1, 1, 1).expand_as(recorded["mask"])
    assert torch.equal(mask, recorded["mask"])
    latents = toy_encode(recorded["video_masked"], recorded["posterior_noise"]) * SCALE
    masked = latents.transpose(0, 1).unsqueeze(0)
    assert golden.largest(masked, recorded["masked_latents"]) <= 1e-6
    case = {
        "mask": mask.repeat(2, 1, 1, 1, 1),
        "masked_video": masked.repeat(2, 1, 1, 1, 1),
        "encoder_hidden_states": recorded["encoder_hidden_states"],
    }
    eps = golden.guided(golden.unet("tiny_a"), case, scale)
    if method == "ddpm":
        noise = recorded["step_noise"]
        final = ddpm_sample(eps, recorded["z"], respaced_timesteps(8), noise=lambda i: noise[i, :1])
    else:
        final = ddim_sample(eps, recorded["z"], respaced_timesteps(8))
    assert golden.largest(final, recorded["final"][:1]) <= 1e-3
    video = to_uint8(toy_decode(final[0].transpose(0, 1) / SCALE)).movedim(1, -1)
    assert golden.largest(video.int(), recorded["video_uint8"].int()) <= 1


def test_grey_levels_round_as_the_reference_does():
    recorded = golden.tensors("output_conversion")
    assert torch.equal(to_uint8(recorded["value_f32"]), recorded["uint8_from_f32"])
