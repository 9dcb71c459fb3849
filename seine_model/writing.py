"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"
"""How what is half written ends: no suffix that a loader lists, since a killed run may leave it."""


@contextmanager
def whole_file(target: Path, suffix: str = "") -> Iterator[Path]:
    """A hidden path beside `target` to write to: `target` in the end, or gone where the writing fails or is cancelled.

    suffix: for writers that read the format from the file's name. Raises OSError, in words, for what the disk refuses.
    """
    part = target.with_name(f".{target.stem}.{uuid.uuid4().hex}{PART}{suffix}")
    try:
        yield part
        _to_disk(part)
        os.replace(part, target)
    except OSError as problem:
        if problem.errno is None:  # in words already
            raise
        raise OSError(
            f"{target.name} could not be written ({problem.strerror or problem}): free space on its disk, or write to "
            "another folder"
        ) from problem
    finally:
        with suppress(OSError):
            part.unlink()


def _to_disk(file: Path) -> None:
    """Have a file's bytes on the disk before its name is: else a machine that crashes may leave the name of an empty
    one."""
    with open(file, "rb+") as written:
        try:
            os.fsync(written.fileno())
        except OSError as problem:
            if problem.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # some file systems have no such thing
                raise
