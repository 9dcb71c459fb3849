"""The small model in four steps: distils a bundle and writes what was learned as a LoRA beside it.

`distil(bundle, tokenizer_folder, folder, target, device)` does all of it and goes on where it was stopped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from tools.hosting.model_files import SMALL_CFG
from tools.training.distillation import DistillationOptions, Distiller
from tools.training.distilling import write
from tools.training.latent_clips import LatentClips
from tools.training.progress import draw_losses, progress

from . import recipe, world
from .bundle import Parts, load_parts
from .text_encoder import Tokenizer

OPTIONS = DistillationOptions(
    steps=600,
    videos=32,
    frames=world.FRAMES,
    cfg=SMALL_CFG,
    teacher_steps=3,  # of twelve steps its clips are as good as of more
    rank=32,
    given=10.0,
    learning_rate=2e-3,
    seed=recipe.SEED,
)
CLIPS = 3000
SAVE_EVERY = 100


def distil(
    bundle: Path,
    tokenizer_folder: Path,
    folder: Path,
    target: Path,
    device: str = "cpu",
    options: DistillationOptions = OPTIONS,
) -> Distiller:
    """Write the LoRA `target`; states, clips and curves are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = load_parts(bundle, device)
    clips = encoded_clips(parts, Tokenizer(tokenizer_folder), folder / "clips.safetensors")
    options = replace(options, replayed=device.startswith("cuda"))
    distiller = Distiller(parts.unet.to(memory_format=torch.channels_last), clips, options)
    state = folder / "distillation.pt"
    if state.exists():
        distiller.resume(state)
    for _ in progress(distiller.run(), "few steps", distiller.step, options.steps, lambda: [distiller.shown]):
        if distiller.step % SAVE_EVERY == 0 or distiller.step == options.steps:
            distiller.save(state)
    draw_losses(distiller.errors(), folder / "errors.png", average=20)
    target.parent.mkdir(parents=True, exist_ok=True)
    write(distiller, target)
    return distiller


def encoded_clips(parts: Parts, tokenizer: Tokenizer, file: Path, count: int = CLIPS) -> LatentClips:
    """Clips of the world, from `file` where there is one. Raises ValueError for those that another model encoded."""
    if not file.exists():
        recipe.encode_world(parts.autoencoder, parts.reader, tokenizer, count).save(file)
    clips = LatentClips.load(file)
    if not torch.allclose(clips.gray, recipe.gray_latents(parts.autoencoder), atol=0.05):
        raise ValueError(f"{file} is of another model: delete it, or choose another --folder")
    return clips
