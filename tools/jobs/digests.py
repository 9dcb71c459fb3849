"""sha256 of files."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

MOST_DIGESTS = 4096
"""Images whose digests are remembered, so that a picture of many rows is read once, and memory stays flat."""


def image_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    facts = os.stat(path)
    return _digest(str(path), facts.st_size, facts.st_mtime_ns)


@lru_cache(MOST_DIGESTS)
def _digest(path: str, size: int, time: int) -> str:
    return digest_of(path)


def digest_of(path: str | Path) -> str:
    """sha256 of a file's bytes, read anew."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
