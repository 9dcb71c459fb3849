"""A folder for one host, gone with it; what killed processes left is removed by the next one."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.hosting.environment import SetupError, try_lock

LOCK = "lock"


@contextmanager
def working_folder(place: Path | None = None) -> Iterator[Path]:
    """A new folder below `place` (default: one of this user's in the system's temporary folder).

    Its process holds a lock in it, which the system frees when the process dies: one whose lock is free is nobody's.
    Raises SetupError where that place is another user's.
    """
    if place is None:
        place = _own_place()
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


def _own_place() -> Path:
    """Nobody else may write to it, since the host runs the code that is in it; by number, as a container need not have
    a name for its user."""
    temporary = Path(tempfile.gettempdir())
    if os.name == "nt":  # a folder of the user's own already
        return temporary / f"seine-batch-{os.environ.get('USERNAME', '')}"
    place = temporary / f"seine-batch-{os.getuid()}"
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        facts = place.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
            raise SetupError(
                f"{place}: it is not a folder of yours, so that another user could have code run as you: have it "
                "removed, or set TMPDIR to a folder of your own"
            ) from None
        place.chmod(0o700)
    return place


def _remove_if_left(folder: Path) -> None:
    try:
        with open(folder / LOCK, "r+") as lock:  # one that is just being made has none yet
            left = try_lock(lock)
    except OSError:
        return
    if left:
        shutil.rmtree(folder, ignore_errors=True)
