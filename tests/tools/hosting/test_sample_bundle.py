"""The small bundle the demo and the host tests use."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from seine_model import load_unet
from tools.hosting.sample_bundle import SMALL, sample_bundle


def test_same_seed_same_file_and_small(tmp_path):
    first, again, other = (sample_bundle(tmp_path / f"{i}.safetensors", seed=seed) for i, seed in enumerate((1, 1, 2)))
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert first.stat().st_size < 20e6


def test_parts_carry_the_bundle_prefixes(tmp_path):
    prefixes = {key.split(".")[0] for key in load_file(sample_bundle(tmp_path / "bundle.safetensors"))}
    assert prefixes == {"model", "cond_stage_model", "first_stage_model"}
    prefixes = {key.split(".")[0] for key in load_file(sample_bundle(tmp_path / "unet.safetensors", unet_only=True))}
    assert prefixes == {"model"}


def test_network_steers_frames_to_their_keyframes(tmp_path):
    unet = load_unet(sample_bundle(tmp_path / "bundle.safetensors"))
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(1, 4, 5, 8, 8, generator=generator)
    mask, text = torch.ones(1, 1, 5, 8, 8), torch.randn(1, 77, SMALL.cross_attention_dim, generator=generator)
    keyframes = torch.randn(1, 4, 5, 8, 8, generator=generator)
    predicted = unet(torch.cat((frames, mask, keyframes), 1), torch.tensor([500]), text)
    assert predicted.isfinite().all()
    wanted = frames - keyframes
    cosine = torch.cosine_similarity(predicted.flatten(), wanted.flatten(), 0)
    assert cosine > 0.9
    # The rest is the texture, without which tests could not tell what reaches the network.
    assert unet(torch.cat((frames, mask, keyframes), 1), torch.tensor([500]), -text).sub(predicted).abs().max() > 1e-3
