"""What the pack makes of one file, in a process that can be watched and ended."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from seine_model import CheckpointError, SeineUNet3D, load_unet
from seine_model.base import read_base, text_encoder_weights, vae_weights
from seine_model.conversion import convert
from seine_model.facts import check_facts, text_encoder_heads_of
from seine_model.reading import check_values

SECONDS, MEGABYTES = 20, 2000
"""The longest that one file may take, and the most memory beside what the process had."""

Answers = dict[str, tuple[str, str]]
"""By part ("UNet", "base", "converter"): "works", "refused" or "wrong", and what was said."""


def judge(path: Path) -> Answers:
    return {name: _answer(part, path) for name, part in (("UNet", _unet), ("base", _base), ("converter", _convert))}


def _answer(part: Callable[[Path], None], path: Path) -> tuple[str, str]:
    try:
        part(path)
    except (CheckpointError, ValueError, OSError) as error:
        if type(error) in (CheckpointError, ValueError) and _is_ours(error) and _says_enough(str(error), path):
            return "refused", str(error)
        return "wrong", traceback.format_exc()
    except BaseException:
        return "wrong", traceback.format_exc()
    return "works", ""


def _is_ours(error: Exception) -> bool:
    """Whether our own code raised it, last in its traceback."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return "seine_model" in last.filename


def _says_enough(message: str, path: Path) -> bool:
    """It names the file, a tensor or a setting, gives a remedy, and has none of PyTorch's advice."""
    names = any(
        word in message for word in (path.stem, "SEINE UNet", "seine_", "text_encoder_heads", "weights are not those")
    )
    remedy = any(
        word in message for word in ("etch", "download", "hoose", "convert", "rename", "Use a", "npack", "--dtype")
    )
    return names and remedy and "weights_only" not in message and len(message) < 4000


def _unet(path: Path) -> None:
    _check_finite(load_unet(path))


def _check_finite(unet: SeineUNet3D) -> None:
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 9, 2, 8, 8, generator=generator)
    context = torch.randn(1, 7, unet.config.cross_attention_dim, generator=generator)
    with torch.inference_mode():
        out = unet(sample, torch.tensor([500.0]), context)
    if out.shape != (1, 4, 2, 8, 8) or not out.isfinite().all():
        raise ArithmeticError(f"{list(out.shape)} with {int((~out.isfinite()).sum())} values that are not finite")


def _base(path: Path) -> None:
    parts, facts = read_base(path)
    text = text_encoder_weights(parts, path.name, 64)
    vae = vae_weights(parts, path.name)
    check_values(text | vae, path.name)
    check_facts(facts)
    text_encoder_heads_of(facts, 64)


def _convert(path: Path) -> None:
    target = path.with_name("converted.safetensors")
    target.unlink(missing_ok=True)
    convert(path, target, "fp32")
    _check_finite(load_unet(target))


@dataclass
class Judge:
    """A process that judges files one after the other; a new one where it hung, died or took too much."""

    process: multiprocessing.Process | None = None
    pipe: Connection | None = None

    def __call__(self, path: Path) -> Answers:
        if self.process is None:
            self._start()
        self.pipe.send(path)
        if not self.pipe.poll(SECONDS):
            self.close()
            return {"process": ("wrong", f"took longer than {SECONDS} s")}
        try:
            answers, grown = self.pipe.recv()
        except EOFError:
            status = self.process.exitcode
            self.close()
            return {"process": ("wrong", f"died ({status})")}
        if grown > MEGABYTES:
            self.close()
            return {"process": ("wrong", f"took {grown:.0f} MB of memory")}
        return answers

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        assert self.pipe.poll(120), "the judging process did not start"
        self.pipe.recv()

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


def _work(pipe: Connection) -> None:
    torch.set_num_threads(1)
    before = _peak()
    pipe.send("ready")
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        answers = judge(path)
        pipe.send((answers, _peak() - before))


def _peak() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
