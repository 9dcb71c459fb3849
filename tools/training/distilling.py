"""Distilling a SEINE checkpoint of full size on a folder of clips, as `finetuning` trains one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from seine_model import load_unet
from seine_model.checkpoint import CONFIG_KEY, stored_dtype
from tools.hosting.environment import say
from tools.training.consistency import ConsistencyDistiller, taught_ways
from tools.training.distillation import DistillationOptions, Distiller, visited_timesteps
from tools.training.distillation_task import check_state, task_of
from tools.training.latent_clips import LatentClips
from tools.training.low_rank import lora_file
from tools.training.progress import draw_losses, progress, where_it_is

SAVE_EVERY = 50
MOST_WARMUP = 50
GIVEN = 10.0
"""How many times the errors in given frames count: few steps leave none to mend them in."""


def distil(arguments: argparse.Namespace, folder: Path, device: str) -> None:
    """Distil on the clips encoded in `folder`, and write a LoRA, or with rank 0 the UNet, in half precision."""
    options = DistillationOptions(
        steps=arguments.steps,
        videos=arguments.videos,
        frames=arguments.frames,
        cfg=arguments.cfg,
        visited=visited_timesteps(arguments.few_steps),
        teacher_steps=arguments.teacher_steps,
        rank=arguments.rank,
        given=GIVEN,
        learning_rate=arguments.learning_rate,
        warmup=min(MOST_WARMUP, arguments.steps),
        mixed_precision=not arguments.rank and not arguments.full_precision,
        gradient_checkpointing=arguments.gradient_checkpointing,
        seed=arguments.seed,
    )
    # Weights that are trained themselves stay in float32; others need no more than what is computed with.
    computed = torch.float32 if arguments.full_precision else torch.bfloat16
    unet = load_unet(arguments.checkpoint, dtype=computed if arguments.rank else torch.float32, device=device)
    teacher = None if arguments.rank else load_unet(arguments.checkpoint, dtype=computed, device=device)
    clips = LatentClips.load(folder / "clips.safetensors")
    state = folder / "distillation.pt"
    check_state(state, task_of(unet, clips, options, bool(arguments.to_clip)))
    if arguments.to_clip:
        shown = taught_ways(teacher or unet, clips, options, folder / "ways", arguments.to_clip)
        teacher = None
        distiller = ConsistencyDistiller(unet, clips, options, shown)
    else:
        distiller = Distiller(unet, clips, options, teacher)
    if state.exists():
        distiller.resume(state)
        say(where_it_is(distiller.step, options.steps))
    for _ in progress(distiller.run(), "distillation", distiller.step, options.steps, lambda: [distiller.shown]):
        if distiller.step % SAVE_EVERY == 0 or distiller.step == options.steps:
            distiller.save(state)
    draw_losses(distiller.errors(), folder / "errors.png")
    write(distiller, arguments.output)


def write(distiller: Distiller, target: Path) -> None:
    """The averaged values as a LoRA, or as a UNet where all of it was trained; the file says how it is sampled."""
    unet, metadata = distiller.unet, {"seine_visited": json.dumps(distiller.options.visited)}
    if distiller.options.rank:
        save_file(lora_file(distiller.ema, unet), target, metadata)
        return
    weights = unet.state_dict() | distiller.ema
    stored = {key: value.cpu().to(stored_dtype(key, value, torch.float16)) for key, value in weights.items()}
    stored = {key: value.contiguous().clone() for key, value in stored.items()}
    save_file(stored, target, metadata | {CONFIG_KEY: json.dumps(unet.config.to_dict())})
