"""What a training's files were made from: it is kept in them, and compared before they are used again.

A record has names of options and what was given for them: numbers, digests, or digests by file name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.hosting.environment import say

Record = Mapping[str, Any]
SAMPLED = 64
"""Values of each tensor that tell one network from another."""
BLOCK, BLOCKS = 1 << 16, 256
"""Bytes, and how many such blocks of a file tell it from another; one of no more is read whole."""
NAMED = 3
"""Files that differ, in a message."""


def fingerprint(tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> str:
    """Of weights, as they are in this number format."""
    found = hashlib.sha256()
    for value in tensors.values():
        found.update(value.flatten()[:SAMPLED].to(dtype).float().cpu().numpy().tobytes())
    return found.hexdigest()


def digest(file: Path, beside: bytes = b"") -> str:
    """Of a file's size and of blocks spread over it, and of what belongs to it."""
    size = file.stat().st_size
    found = hashlib.sha256(f"{size} {len(beside)} ".encode() + beside)
    count = min(-(-size // BLOCK), BLOCKS)
    with open(file, "rb") as stream:
        for index in range(count):
            stream.seek(index * (size - BLOCK) // (count - 1) if count > 1 else 0)
            found.update(stream.read(BLOCK))
    return found.hexdigest()


def check(
    file: Path,
    kind: str,
    theirs: Record,
    ours: Record,
    remedy: str = "delete it, choose another --folder",
    quiet: bool = False,
) -> None:
    """Raises ValueError where the file's record and that of what was asked for differ, and says in what.

    What only one of them has is taken to be equal, with a word unless `quiet`: files of earlier versions said less of
    themselves.
    """
    both = [name for name in ours if name in theirs]
    differing = [_difference(name, theirs[name], ours[name]) for name in both if theirs[name] != ours[name]]
    if differing:
        raise ValueError(f"{file} is of another {kind}: {', '.join(differing)}: {remedy}, or give the same options")
    unsaid = sorted(ours.keys() ^ theirs.keys())
    if unsaid and not quiet:
        say(f"{file.name} does not say all it was made from; taken to be as given now: {', '.join(unsaid)}")


def _difference(name: str, theirs: Any, ours: Any) -> str:
    if isinstance(ours, Mapping):
        files = sorted(each for each in ours.keys() | theirs.keys() if ours.get(each) != theirs.get(each))
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        return f"other {name} ({', '.join(files[:NAMED])}{more})"
    return f"another {name}" if isinstance(ours, str) else f"{name} {theirs} and not {ours}"
