"""Training a SEINE checkpoint further: encodes a folder of clips inside a ComfyUI, then trains without one."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from seine_model import load_unet
from seine_model.base import read_base
from seine_model.checkpoint import CONFIG_KEY, UNET_PREFIX, infer_config, read_checkpoint, stored_dtype
from tools.hosting.environment import say
from tools.hosting.hosts import Host
from tools.hosting.server import run_in_host
from tools.training.clip_files import caption_of, videos_in
from tools.training.latent_clips import LatentClips
from tools.training.made_from import check, digest, fingerprint
from tools.training.progress import draw_losses, progress, where_it_is
from tools.training.trainer import Phase, Trainer, TrainingOptions

SAVE_EVERY = 100
WARMUP = 100


def check_trainable(checkpoint: Path) -> None:
    """Raises CheckpointError for a checkpoint that is no SEINE, ValueError for one that reads no keyframes."""
    if not infer_config(*read_checkpoint(checkpoint)).reads_keyframes:
        raise ValueError(
            f"--checkpoint {checkpoint.name}: it makes clips from a prompt alone, as LaVie does, and training gives "
            "frames: choose SEINE (seine.pt)"
        )


def encode(host: Host, arguments: argparse.Namespace, target: Path) -> None:
    """Encode the clips with the checkpoint's (or base's) own VAE and text encoder, unless `target` is there already.

    Raises ValueError for a folder without usable clips, or where `target` was made from something else.
    """
    made_from = record(arguments)
    if target.exists():
        theirs = LatentClips.load(target).made_from
        check(target, "data set", theirs, made_from, "choose another --folder, delete it with the states beside it")
        say(f"using the clips encoded before: {target} (delete it to encode them again)")
        return
    say("encoding the clips")
    keywords = {name: getattr(arguments, name) for name in ("frames", "every", "width", "height")}
    keywords |= {
        name: str(path.resolve()) if path else None
        for name, path in (("checkpoint", arguments.checkpoint), ("base", arguments.base), ("clips", arguments.clips))
    }
    keywords |= {"target": str(target.resolve()), "made_from": made_from}
    script = Path(__file__).with_name("encode_clips.py")
    with tempfile.TemporaryDirectory(prefix="seine-encode-") as base:
        answer = run_in_host(host, Path(base), script, keywords, timeout=24 * 3600)
    if "refused" in answer:
        raise ValueError(answer["refused"])
    say(f"{answer['clips']} clips of {arguments.frames} frames from {answer['videos']} videos")


def record(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the encoded clips follow from. Raises CheckpointError for a base and ValueError for a clip that cannot be
    read."""
    parts, _ = read_base(arguments.base or arguments.checkpoint)
    # Sorted: the same weights lie in another order in another kind of file.
    encoders = {key: value for key, value in sorted(parts.items()) if not key.startswith(UNET_PREFIX)}
    videos = {}
    for video in videos_in(arguments.clips):
        caption = caption_of(video)
        try:
            videos[video.name] = digest(video, caption.read_bytes() if caption.is_file() else b"")
        except OSError as problem:
            raise ValueError(
                f"--clips: {video.name}, or its caption, cannot be read ({problem.strerror}): have it read, or take it "
                "out of the folder"
            ) from problem
    options = {name: getattr(arguments, name) for name in ("frames", "every", "width", "height")}
    return options | {"VAE and text encoder": fingerprint(encoders), "clips": videos}


def train(arguments: argparse.Namespace, folder: Path, device: str) -> None:
    """Train on the encoded clips and write the averaged UNet in half precision."""
    unet = load_unet(arguments.checkpoint, device=device)
    options = TrainingOptions(
        phases=(Phase(arguments.steps, arguments.videos, arguments.frames),),
        learning_rate=arguments.learning_rate,
        warmup=min(WARMUP, arguments.steps),
        mixed_precision=not arguments.full_precision,
        gradient_checkpointing=arguments.gradient_checkpointing,
        seed=arguments.seed,
    )
    checkpoint = fingerprint(unet.state_dict())
    trainer = Trainer(unet, LatentClips.load(folder / "clips.safetensors"), options, checkpoint)
    state = folder / "training.pt"
    if state.exists():
        trainer.resume(state)
        say(where_it_is(trainer.step, options.steps))
    for _ in progress(trainer.run(), "UNet", trainer.step, options.steps, lambda: trainer.losses[-1:]):
        if trainer.step % SAVE_EVERY == 0 or trainer.step == options.steps:
            trainer.save(state)
    draw_losses({"UNet": trainer.losses}, folder / "losses.png")
    weights = {key: value.cpu().to(stored_dtype(key, value, torch.float16)) for key, value in trainer.ema.items()}
    weights = {key: value.contiguous().clone() for key, value in weights.items()}
    save_file(weights, arguments.output, {CONFIG_KEY: json.dumps(unet.config.to_dict())})
