"""The parts of a small model's file, as they were trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from seine_model import SeineUNet3D, load_unet
from seine_model.base import TEXT_MODEL_PREFIX
from seine_model.checkpoint import VAE_PREFIX, read_checkpoint, strip_prefix

from . import autoencoder as vae
from . import text_encoder as text


@dataclass(frozen=True)
class Parts:
    unet: SeineUNet3D
    reader: text.Reader
    """With a text encoder of the file, and classifiers that have learned nothing."""
    autoencoder: vae.Autoencoder


def load_parts(file: Path, device: str = "cpu") -> Parts:
    """In float32, for inference; the UNet on `device`. Raises CheckpointError, or RuntimeError for another model."""
    tensors, _ = read_checkpoint(file)
    tensors = {key: value.float() for key, value in tensors.items()}
    reader = text.Reader()
    own = reader.encoder.state_dict()
    stored = _by_names_of(own, strip_prefix(tensors, TEXT_MODEL_PREFIX))
    reader.encoder.load_state_dict(stored, strict=False)  # position_ids are constants, which files do without
    autoencoder = vae.Autoencoder((vae.WIDTH,) * len(vae.STAGES))
    weights = strip_prefix(tensors, VAE_PREFIX)
    autoencoder.unit.fill_(float(weights.pop("vae_scale")) / vae.LATENT_SCALE)
    autoencoder.load_state_dict(weights)
    frozen = (module.eval().requires_grad_(False) for module in (reader, autoencoder))
    return Parts(load_unet(file, device=device), *frozen)


def _by_names_of(own: dict[str, Tensor], stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The text encoder's weights under the names that this version of transformers has. Raises RuntimeError."""
    found = {}
    for key in own:
        name = f"text_model.{key.removeprefix('text_model.')}"
        if name in stored:
            found[key] = stored[name]
        elif not key.endswith("position_ids"):
            raise RuntimeError(f"the file has no {name}: give the bundle of a small model")
    return found
