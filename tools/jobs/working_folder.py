"""A folder for one host, gone with it; what killed processes left is removed by the next one."""

from __future__ import annotations

import getpass
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.hosting.environment import try_lock

LOCK = "lock"


@contextmanager
def working_folder(place: Path | None = None) -> Iterator[Path]:
    """A new folder below `place` (default: one of this user's in the system's temporary folder).

    Its process holds a lock in it, which the system frees when the process dies: one whose lock is free is nobody's.
    """
    place = place or Path(tempfile.gettempdir()) / f"seine-batch-{getpass.getuser()}"
    place.mkdir(parents=True, exist_ok=True)
    for other in place.iterdir():
        _remove_if_left(other)
    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        with open(folder / LOCK, "a+") as lock:
            try_lock(lock)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    try:
        with open(folder / LOCK, "r+") as lock:  # one that is just being made has none yet
            left = try_lock(lock)
    except OSError:
        return
    if left:
        shutil.rmtree(folder, ignore_errors=True)
