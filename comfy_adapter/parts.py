"""CLIP and VAE as they come by wire: whether they are the parts that SEINE works with."""

from __future__ import annotations

from typing import Any

from .keyframes import LATENT_SCALE

_LAYOUT = {"latent_channels": 4, "latent_dim": 2, "upscale_ratio": LATENT_SCALE}
"""Of Stable Diffusion 1.x's latents, by the names that the host's VAE has for it."""


def check_vae(vae: Any) -> None:
    """Raises ValueError for what is no VAE, is empty, or has other latents than ``[frames, 4, H/8, W/8]``.

    What an object does not say of itself it is not held to: other packs have VAEs of their own.
    """
    remedy = "wire in the VAE of Load SEINE Checkpoint, or one of Stable Diffusion 1.x"
    if vae is None or getattr(vae, "first_stage_model", vae) is None:
        raise ValueError(f"vae: the loader gave none, its file holds no VAE: {remedy}")
    # A CLIP can encode and decode too.
    if not all(callable(getattr(vae, name, None)) for name in ("encode", "decode")) or hasattr(vae, "tokenize"):
        raise ValueError(f"vae: this is no VAE but {type(vae).__name__}: {remedy}")
    other = [name for name, value in _LAYOUT.items() if getattr(vae, name, value) != value]
    if other:
        found = ", ".join(f"{name} {getattr(vae, name)}" for name in other if not callable(getattr(vae, name)))
        raise ValueError(f"vae: this VAE is of another kind of model ({found or 'a video VAE'}): {remedy}")


def check_clip(clip: Any) -> None:
    """Raises ValueError for what is no CLIP; which width its embeddings have is seen where they are used."""
    remedy = "take the CLIP of Load SEINE Checkpoint"
    if clip is None:
        raise ValueError(f"clip: the loader gave none: {remedy}")
    if not all(callable(getattr(clip, name, None)) for name in ("tokenize", "encode_from_tokens_scheduled")):
        raise ValueError(f"clip: this is no CLIP but {type(clip).__name__}: {remedy}")
