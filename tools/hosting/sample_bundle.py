"""Writes a small bundle checkpoint with made-up weights: `python tools/hosting/sample_bundle.py FILE [--seed N]`.

It has the layout of a real bundle (UNet, CLIP-shaped text encoder, TAESD-shaped VAE) at a few MB. Nothing in it is
trained. The weights are random, with a frame around them so that there is something to see: the VAE stores the mean
colour of every 8 x 8 pixels, and the UNet drives each frame towards its keyframe, or grey, plus a random texture that
depends on everything the network is given. Samples so stay in range for any sampler, and kept frames can be recognised.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from safetensors.torch import save_file
from torch import Tensor

from seine_model import SeineConfig, SeineUNet3D
from seine_model.base import TEXT_MODEL_PREFIX
from seine_model.checkpoint import ROTARY_KEY, UNET_PREFIX, VAE_PREFIX, stored_dtype

SMALL = SeineConfig(
    block_out_channels=(32, 64, 64, 64),
    layers_per_block=1,
    attention_head_dim=1,
    cross_attention_dim=64,
    norm_num_groups=8,
)
VOCABULARY, POSITIONS, TEXT_LAYERS = 49408, 77, 2
LATENT_SCALE = 0.18215
TEXTURE = 0.06
"""Size of the random part of the UNet's last features, beside latents of order 1."""
CONTRAST = 3.0
"""Latents per unit of pixel value."""
WIDTH = 64
"""Channels inside a TAESD."""


def sample_bundle(
    file: Path,
    config: SeineConfig = SMALL,
    seed: int = 0,
    dtype: torch.dtype = torch.float16,
    unet_only: bool = False,
    text_layers: int = TEXT_LAYERS,
    vae_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Path:
    """Write the checkpoint and return its path; the same arguments give the same file.

    The text encoder is as wide as `config.cross_attention_dim`, a multiple of 64. `vae_shapes`: of the weights of
    another VAE than a TAESD, which are then random.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = {f"{UNET_PREFIX}{key}": value for key, value in sample_unet(config, generator).items()}
    metadata = {"seine_config": json.dumps(config.to_dict())}
    if not unet_only:
        text_encoder = sample_text_encoder(config.cross_attention_dim, generator, text_layers)
        tensors |= {f"{TEXT_MODEL_PREFIX}{key}": value for key, value in text_encoder.items()}
        vae = {key: _random(key, shape, generator) for key, shape in (vae_shapes or {}).items()} or sample_vae()
        tensors |= {f"{VAE_PREFIX}{key}": value for key, value in vae.items()}
    stored = {key: value.to(stored_dtype(key, value, dtype)).contiguous() for key, value in tensors.items()}
    save_file(stored, file, metadata)
    return file


def sample_unet(config: SeineConfig = SMALL, generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """Random weights of a UNet under the reference's names, float32."""
    shapes = {key: value.shape for key, value in SeineUNet3D(config, device="meta").state_dict().items()}
    weights = {key: _random(key, shape, generator) for key, shape in shapes.items()}

    # conv_in puts x - masked latents into the first four features and their negatives into the next four. They reach
    # the last resnet over the outermost skip connection, where the network adds its texture to them.
    last = config.layers_per_block
    resnet, transformer = f"up_blocks.3.resnets.{last}.", f"up_blocks.3.attentions.{last}."
    latents, width = config.out_channels, config.block_out_channels[0]
    plus, minus = slice(0, latents), slice(latents, 2 * latents)
    conv_in, shortcut, conv_out = (
        weights[key] for key in ("conv_in.weight", f"{resnet}conv_shortcut.weight", "conv_out.weight")
    )
    conv_in[: 2 * latents] = 0
    shortcut[: 2 * latents] = 0
    conv_out.zero_()
    for i in range(latents):
        for feature, sign in ((i, 1.0), (latents + i, -1.0)):
            conv_in[feature, i, 1, 1] = sign
            conv_in[feature, config.in_channels - latents + i, 1, 1] = -sign
            shortcut[feature, shortcut.shape[1] - width + feature] = 1
            # silu(v) - silu(-v) = v, and a little more than v brings samplers home from any start.
            conv_out[i, feature, 1, 1] = 1.1 * sign
    for key in (f"{resnet}conv2.", f"{transformer}proj_out."):
        for name in ("weight", "bias"):
            weights[key + name][plus] *= TEXTURE
            weights[key + name][minus] = -weights[key + name][plus]
    return weights


def sample_text_encoder(
    width: int = 64, generator: torch.Generator | None = None, layers: int = TEXT_LAYERS
) -> dict[str, Tensor]:
    """Random weights of a CLIP text encoder under its usual names, float32."""
    shapes: dict[str, tuple[int, ...]] = {
        "text_model.embeddings.token_embedding.weight": (VOCABULARY, width),
        "text_model.embeddings.position_embedding.weight": (POSITIONS, width),
    }
    for layer in range(layers):
        prefix = f"text_model.encoder.layers.{layer}."
        linear = {f"self_attn.{name}_proj": (width, width) for name in "qkv"} | {"self_attn.out_proj": (width, width)}
        linear |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
        for name, shape in linear.items():
            shapes |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[:1]}
        for name in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{prefix}{name}.weight": (width,), f"{prefix}{name}.bias": (width,)}
    shapes |= {"text_model.final_layer_norm.weight": (width,), "text_model.final_layer_norm.bias": (width,)}
    return {key: _random(key, shape, generator) for key, shape in shapes.items()}


def sample_vae() -> dict[str, Tensor]:
    """A TAESD whose latents are the mean red, green, blue and grey of 8 x 8 pixels; its blocks do nothing, float32."""
    weights = {"vae_scale": torch.tensor(LATENT_SCALE)}
    for part, layers in (("taesd_encoder", _ENCODER), ("taesd_decoder", _DECODER)):
        for index, layer in enumerate(layers):
            for name, shape in _taesd_shapes(layer):
                weights[f"{part}.{index}.{name}"] = torch.zeros(shape)

    # Positive features (ReLUs lie between): red, green, blue as they are on the way in …
    for colour in range(3):
        weights["taesd_encoder.0.weight"][colour, colour, 1, 1] = 1
        for index in (2, 6, 10):
            weights[f"taesd_encoder.{index}.weight"][colour, colour, 1:, 1:] = 0.25
        weights["taesd_encoder.14.weight"][colour, colour, 1, 1] = CONTRAST
        weights["taesd_encoder.14.weight"][3, colour, 1, 1] = CONTRAST / 3
    weights["taesd_encoder.14.bias"][:] = -CONTRAST / 2
    # … and what is above and below mid-grey on the way out, so that padding means grey.
    for colour in range(3):
        for feature, sign in ((colour, 1.0), (3 + colour, -1.0)):
            weights["taesd_decoder.1.weight"][feature, colour, 1, 1] = sign / CONTRAST
            for index, blur in ((7, 0.0), (12, 1.0), (17, 1.0)):
                tap = torch.tensor([blur, 2.0, blur])
                weights[f"taesd_decoder.{index}.weight"][feature, feature] = torch.outer(tap, tap) / tap.sum() ** 2
            weights["taesd_decoder.19.weight"][colour, feature, 1, 1] = sign
    weights["taesd_decoder.19.bias"][:] = 0.5
    return weights


# A TAESD's layers in order: None (no weights), "block", or a convolution as (inputs, outputs, has a bias).
_BLOCKS, _DOWN = ["block"] * 3, (WIDTH, WIDTH, False)
_ENCODER = [(3, WIDTH, True), "block", _DOWN, *_BLOCKS, _DOWN, *_BLOCKS, _DOWN, *_BLOCKS, (WIDTH, 4, True)]
_DECODER = [None, (4, WIDTH, True), None, *(3 * [*_BLOCKS, None, _DOWN]), "block", (WIDTH, 3, True)]


def _taesd_shapes(layer: object) -> Iterator[tuple[str, tuple[int, ...]]]:
    if layer == "block":
        for index in (0, 2, 4):
            yield f"conv.{index}.weight", (WIDTH, WIDTH, 3, 3)
            yield f"conv.{index}.bias", (WIDTH,)
    elif layer is not None:
        inputs, outputs, bias = layer
        yield "weight", (outputs, inputs, 3, 3)
        if bias:
            yield "bias", (outputs,)


# Tables that are looked up, not multiplied, keep values of order 1.
_TABLES = ("token_embedding.weight", "position_embedding.weight", "relative_attention_bias.weight")


def _random(key: str, shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    if key.endswith(ROTARY_KEY):
        return 10000.0 ** (-torch.arange(shape[0], dtype=torch.float32) / shape[0])
    if len(shape) == 1:
        return torch.ones(shape) if "norm" in key and key.endswith("weight") else torch.zeros(shape)
    fan_in = 1 if key.endswith(_TABLES) else math.prod(shape[1:])
    return torch.randn(shape, generator=generator) / math.sqrt(fan_in)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a small SEINE bundle with made-up weights.")
    parser.add_argument("file", type=Path, help="the .safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unet-only", action="store_true", help="leave out text encoder and VAE")
    arguments = parser.parse_args()
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    sample_bundle(arguments.file, seed=arguments.seed, unet_only=arguments.unet_only)
    print(f"{arguments.file}: {arguments.file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
