"""Autoencoders of TAESD's layout with channels that are always zero: how much is computed of them, and how right."""

from __future__ import annotations

import copy
from typing import Any

import comfy.sd
import torch
from comfy.taesd.taesd import TAESD
from comfyui_seine.comfy_adapter import files, loading
from comfyui_seine.comfy_adapter.decoding import decode_frames
from comfyui_seine.comfy_adapter.narrow_vae import leave_out_zero_channels
from comfyui_seine.seine_model.base import vae_weights
from comfyui_seine.seine_model.checkpoint import VAE_PREFIX, read_checkpoint, strip_prefix
from torch.utils.flop_counter import FlopCounterMode


def work(call: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def network(live: dict[str, int], **layout: Any) -> TAESD:
    """With random weights, of which these convolutions' outputs from the given number on are zero."""
    made = TAESD(**layout).requires_grad_(False)
    for weight in made.parameters():
        if weight.ndim:
            weight.normal_(0, 0.1)
    for name, count in live.items():
        for weight in made.get_submodule(name).parameters():
            weight[count:] = 0
    return made


def compare(live: dict[str, int]) -> dict[str, Any]:
    """The network as it is, beside itself with zeros left out and beside a copy and a saved one of that."""
    whole = network(live)
    narrow = copy.deepcopy(whole)
    leave_out_zero_channels(narrow)
    pictures, latents = torch.rand(2, 3, 24, 16), torch.randn(3, 4, 3, 2)
    error = 0.0
    again = TAESD().requires_grad_(False)
    again.load_state_dict(narrow.state_dict())
    for other in (narrow, copy.deepcopy(narrow), again):
        for ours, theirs in (
            (other.encode(pictures), whole.encode(pictures)),
            (other.decode(latents), whole.decode(latents)),
        ):
            error = max(error, float((ours - theirs).abs().max() / theirs.abs().max()))
    kinds = ((type(module) for module in made.modules()) for made in (narrow, whole))
    return {
        "error": error,
        "encoding": work(lambda: narrow.encode(pictures)) / work(lambda: whole.encode(pictures)),
        "decoding": work(lambda: narrow.decode(latents)) / work(lambda: whole.decode(latents)),
        "touched": any(one is not other for one, other in zip(*kinds, strict=True)),
    }


def main() -> dict[str, Any]:
    files.register_folder()
    block = "taesd_decoder.18.conv"
    found = {
        "all are used": compare({}),
        "fewer where pictures are large": compare(
            {"taesd_decoder.17": 16, **{f"{block}.{index}": 16 for index in (0, 2, 4)}}
        ),
        # What comes into a block is added to what it makes, and needs all its channels.
        "fewer inside a block": compare({f"{block}.{index}": 5 for index in (0, 2, 4)}),
        "nothing comes out of a layer": compare({"taesd_encoder.2": 0, f"{block}.0": 0}),
        "the last of a chain": compare({"taesd_decoder.19": 2, "taesd_encoder.14": 3}),
    }
    biased = network({f"{block}.0": 8})
    biased.get_submodule(f"{block}.0").bias[20] = 1.0
    latents = torch.randn(3, 4, 3, 2)
    expected = biased.decode(latents)
    leave_out_zero_channels(biased)
    found["a bias alone"] = float((biased.decode(latents) - expected).abs().max() / expected.abs().max())

    path = files.model_path("seine-small.safetensors")
    tensors, _ = read_checkpoint(path)
    stock = comfy.sd.VAE(sd=strip_prefix(vae_weights(tensors, path.name), VAE_PREFIX))
    ours = loading.load_bundle(path, None)[2]
    clip = torch.randn(16, 4, 8, 8)
    shown, expected = decode_frames(ours, clip, 5), stock.decode(clip)
    saved, given = ours.get_sd(), stock.get_sd()
    found["shipped"] = {
        "error": float((shown - expected).abs().max()),
        "decoding": work(lambda: decode_frames(ours, clip, 5)) / work(lambda: stock.decode(clip)),
        "saved alike": saved.keys() == given.keys() and all(saved[key].equal(given[key]) for key in given),
    }
    return found
