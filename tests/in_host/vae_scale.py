"""What a run of the shipped model says of the VAE its keyframes came through."""

from __future__ import annotations

import logging
from typing import Any

import torch
from comfyui_seine.comfy_adapter import files, keyframes, loading, sampling
from comfyui_seine.seine_model.masks import frame_mask
from torch import Tensor

SIZE, FRAMES = 64, 4


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> dict[str, Any]:
    files.register_folder()
    model, clip, vae = loading.load_bundle(files.model_path("seine-small.safetensors"), None)
    prompts = [[[clip.encode_from_tokens(clip.tokenize(text)), {}]] for text in ("a red ball", "")]
    latent = {"samples": torch.zeros(FRAMES, 4, SIZE // 8, SIZE // 8)}
    settings = {"seed": 1, "steps": 2, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine"}

    def heard(mode: str, change: Any = lambda latents: latents) -> list[str]:
        mask = frame_mask(mode, FRAMES)
        images = torch.rand(FRAMES, SIZE, SIZE, 3)[: int((mask == 0).sum())]
        pictures = {"keyframes": images} if len(images) else {}
        given: Tensor = keyframes.encode_keyframes(vae, mask, pictures, SIZE, SIZE, "stretch")
        conds = [keyframes.attach(prompt, mask, change(given)) for prompt in prompts]
        handler = Heard()
        logging.getLogger().addHandler(handler)
        try:
            sampling.sample(model, *conds, latent, **settings)
        finally:
            logging.getLogger().removeHandler(handler)
        return [line for line in handler.lines if line.startswith("vae: ")]

    return {
        "its own": heard("first1") + heard("all") + heard("onelast1"),
        "of another sign": heard("first1", lambda latents: -latents),
        "of another scale": heard("all", lambda latents: 0.3 * latents),
        "nothing to generate": heard("0,1,2,3", lambda latents: -latents),
    }
