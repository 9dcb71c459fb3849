"""Small checkpoints in the layouts that tools/convert_checkpoint.py reads, and running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests import golden_data as golden
from tools.convert_checkpoint import main

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = "cond_stage_model.transformer."
VAE = "first_stage_model."
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def clip_weights(width: int = 32, layers: int = 2) -> dict[str, torch.Tensor]:
    """A text encoder with made-up weights, under its transformers names."""
    shapes = {
        "embeddings.token_embedding.weight": (64, width),
        "embeddings.position_embedding.weight": (77, width),
        "final_layer_norm.weight": (width,),
        "final_layer_norm.bias": (width,),
    }
    for i in range(layers):
        layer = f"encoder.layers.{i}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"{layer}self_attn.{name}.weight"] = (width, width)
            shapes[f"{layer}self_attn.{name}.bias"] = (width,)
        for name in ("layer_norm1", "layer_norm2"):
            shapes[f"{layer}{name}.weight"] = shapes[f"{layer}{name}.bias"] = (width,)
        for name, size in (("mlp.fc1", (4 * width, width)), ("mlp.fc2", (width, 4 * width))):
            shapes[f"{layer}{name}.weight"], shapes[f"{layer}{name}.bias"] = size, size[:1]
    weights = {f"text_model.{key}": torch.randn(shape) for key, shape in shapes.items()}
    weights["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return weights


def vae_weights(latent_channels: int = 4) -> dict[str, torch.Tensor]:
    """The ends of a VAE, whose names are the same in single files and diffusers folders."""
    shapes = {
        "encoder.conv_in.weight": (8, 3, 3, 3),
        "encoder.conv_out.weight": (2 * latent_channels, 8, 3, 3),
        "quant_conv.weight": (2 * latent_channels, 2 * latent_channels, 1, 1),
        "post_quant_conv.weight": (latent_channels, latent_channels, 1, 1),
        "decoder.conv_in.weight": (8, latent_channels, 3, 3),
        "decoder.conv_out.weight": (3, 8, 3, 3),
    }
    return {key: torch.randn(shape) for key, shape in shapes.items()}


def single_file(path: Path, clip: dict | None = None, vae: dict | None = None, **extra: torch.Tensor) -> Path:
    """An SD 1.x checkpoint, .safetensors or .ckpt."""
    tensors = {"model.diffusion_model.input_blocks.0.0.weight": torch.randn(8, 4, 3, 3), **extra}
    tensors |= {TEXT + key: value for key, value in (clip_weights() if clip is None else clip).items()}
    tensors |= {VAE + key: value for key, value in (vae_weights() if vae is None else vae).items()}
    if path.suffix == ".ckpt":
        torch.save({"state_dict": tensors, "epoch": 3}, path)
    else:
        save_file(tensors, path)
    return path


def diffusers_folder(path: Path, ending: str = ".safetensors") -> Path:
    clip, vae = clip_weights(), vae_weights()
    stem = "pytorch_model" if ending.endswith(".bin") else "model"
    save = torch.save if ending.endswith(".bin") else save_file
    for folder in ("text_encoder", "vae", "unet"):
        (path / folder).mkdir(parents=True)
    save(clip, path / "text_encoder" / (stem + ending))
    save(vae, path / "vae" / ("diffusion_pytorch_model" + ending))
    (path / "text_encoder" / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    (path / "vae" / "config.json").write_text(json.dumps({"scaling_factor": 0.18215}))
    return path


def write_source(folder: Path) -> Path:
    """The published layout, but small; with the configuration beside it, since only 32 norm groups can be guessed."""
    path = folder / "seine.pt"
    torch.save({"ema": golden.tensors("tiny_a_unet")}, path)
    (folder / "config.json").write_text(json.dumps(golden.config("tiny_a").to_dict()))
    return path


def run(seine: Path, target: Path, *arguments: object) -> int:
    config = [] if "--config" in arguments else ["--config", seine.parent / "config.json"]
    return main([str(value) for value in (seine, target, *arguments, *config)])


def refused(capsys: Any, *arguments: Any) -> str:
    """The message of a run that must fail."""
    assert run(*arguments) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    return message
