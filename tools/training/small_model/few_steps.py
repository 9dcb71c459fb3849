"""The small model in a few steps: distils a bundle and writes what was learned as a LoRA beside it.

`distil(bundle, tokenizer_folder, folder, target, device)` does all of it and goes on where it was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tools.hosting.environment import say
from tools.hosting.model_files import SMALL_CFG
from tools.training.consistency import ConsistencyDistiller, taught_ways
from tools.training.distillation import DistillationOptions, Distiller, segments, visited_timesteps
from tools.training.distillation_task import check_state, task_of
from tools.training.distilling import write
from tools.training.latent_clips import LatentClips
from tools.training.low_rank import switched_off
from tools.training.progress import draw_losses, progress, where_it_is

from . import recipe, world
from .bundle import Parts, load_parts
from .measures import psnr
from .text_encoder import Tokenizer
from .trial import MASKS, trial

TEACHER_STEPS = 8
"""In all: the small model's clips are as good as of more."""
OPTIONS = DistillationOptions(
    steps=1200,
    videos=8,
    frames=world.FRAMES,
    cfg=SMALL_CFG,
    teacher_steps=TEACHER_STEPS // 4,
    rank=32,
    given=10.0,
    learning_rate=1e-3,
    replayed=True,
    seed=recipe.SEED,
)
CLIPS, WAYS = 1500, 1536
"""Clips of the world, and of the teacher's with their frames and prompts."""
WAYS_AT_ONCE = 16
SAVE_EVERY = 100


def options_for(steps: int) -> DistillationOptions:
    """To be sampled in so many steps, of the teacher's `TEACHER_STEPS` as many each."""
    return replace(OPTIONS, visited=visited_timesteps(steps), teacher_steps=max(TEACHER_STEPS // steps, 1))


def distil(
    bundle: Path,
    tokenizer_folder: Path,
    folder: Path,
    target: Path,
    device: str = "cpu",
    options: DistillationOptions = OPTIONS,
) -> Distiller:
    """Write the LoRA `target`; states, clips and curves are in `folder`. Clips that are there already, such as those
    that the model was trained on, are not encoded again."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = load_parts(bundle, device)
    clips = encoded_clips(parts, Tokenizer(tokenizer_folder), folder / "clips.safetensors")
    options = replace(options, replayed=options.replayed and device.startswith("cuda"))
    unet = parts.unet.to(memory_format=torch.channels_last)
    name = f"{len(options.visited)}-steps"
    state = folder / f"{name}.pt"
    check_state(state, task_of(unet, clips, options, to_clip=True))
    shown = taught_ways(unet, clips, replace(options, videos=WAYS_AT_ONCE), folder / f"{name}-ways", WAYS)
    distiller = ConsistencyDistiller(unet, clips, options, shown)
    if state.exists():
        distiller.resume(state)
        say(where_it_is(distiller.step, options.steps))
    for _ in progress(distiller.run(), "few steps", distiller.step, options.steps, lambda: [distiller.shown]):
        if distiller.step % SAVE_EVERY == 0 or distiller.step == options.steps:
            distiller.save(state)
    draw_losses(distiller.errors(), folder / f"{name}.png", average=20)
    target.parent.mkdir(parents=True, exist_ok=True)
    write(distiller, target)
    return distiller


def encoded_clips(parts: Parts, tokenizer: Tokenizer, file: Path) -> LatentClips:
    """Clips of the world, from `file` where there is one. Raises ValueError for those that another model encoded."""
    if not file.exists():
        recipe.encode_world(parts.autoencoder, parts.reader, tokenizer, CLIPS).save(file)
    return recipe.clips_of(file, parts.autoencoder, parts.reader, tokenizer)


def compared(
    distiller: Distiller, bundle: Path, tokenizer_folder: Path, scenes: int = 32, tasks: Iterable[str] = tuple(MASKS)
) -> Iterator[tuple[str, str, dict[str, float]]]:
    """What a few steps lose: setting, task and measures of the model as it was and as it is, see `trial`; `same` is the
    PSNR against the guided teacher's clips from the same noise."""
    distiller.publish()
    looked = trial(load_parts(bundle), Tokenizer(tokenizer_folder), scenes, str(distiller.device))
    few, cfg = distiller.options.visited, distiller.options.cfg
    guided = [step for way in segments(few, distiller.options.teacher_steps) for step in way.timesteps]
    settings = [
        (f"before, {len(guided)} steps, cfg {cfg:g}", guided, cfg, distiller.teacher),
        (f"before, {len(few)} steps, cfg {cfg:g}", few, cfg, distiller.teacher),
    ]
    for visited in dict.fromkeys((few, few[::2], few[:1])):
        for name, teacher in (("before", distiller.teacher), ("distilled", None)):
            settings.append((f"{name}, {len(visited)} steps, cfg 1", visited, 1.0, teacher))
    taught: dict[str, Tensor] = {}
    for name, timesteps, guidance, teacher in settings:
        with switched_off(teacher) if teacher else nullcontext():
            clips = {task: looked.clips(teacher or distiller.unet, task, timesteps, guidance) for task in tasks}
        taught = taught or clips
        for task, made in clips.items():
            found = looked.judged(made, task)
            if taught is not clips:
                found["same"] = psnr(made, taught[task])
            yield name, task, found
