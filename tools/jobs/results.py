"""The folder of finished clips. A clip is done when its sidecar is there, which is written last."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from seine_model.writing import PART, whole_file
from tools.hosting.environment import SetupError, try_lock
from tools.jobs.digests import digest_of
from tools.jobs.keys import Keyed

EVENTS, FAILED, LOCK, WINDOWS = "events.jsonl", "failed.jsonl", ".seine-batch.lock", ".seine-windows"
UTF_8 = {"encoding": "utf-8", "errors": "backslashreplace"}
"""Of JSON, where an escape stands for a byte of a folder's name that is none."""
_LEFT = re.compile(rf"\..*\.[0-9a-f]{{32}}{re.escape(PART)}")


class Unwritable(OSError):
    """A record cannot be added to: its disk is full, most often; the message says what to do."""


class Results:
    """The results in `folder`; see `claimed`."""

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        self.failures = 0

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Have the folder for this run alone. Raises SetupError where another run has it, or it cannot be written to.

        What a killed run, or a killed host of this one, left half written is removed, and the list of failures begins
        anew.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.folder / LOCK, "a+")  # noqa: SIM115 (open for as long as it is claimed)
        except OSError as problem:
            raise SetupError(f"--output: {self.folder} is not writable ({problem}): name another folder") from problem
        with lock:
            if not try_lock(lock):
                raise SetupError(f"--output: another run writes to {self.folder}: wait for it, or name another folder")
            self._tidy()
            try:
                (self.folder / FAILED).unlink(missing_ok=True)
            except OSError as problem:
                raise SetupError(f"--output: {FAILED} cannot be begun anew ({problem}): remove it") from problem
            try:
                yield
            finally:
                self._tidy()

    def _tidy(self) -> None:
        for path in _half_written(self.folder):
            with suppress(OSError):
                path.unlink()

    def sidecar(self, job: Keyed) -> Path:
        return self.folder / f"{job.file}.json"

    def done(self, job: Keyed) -> bool:
        """Whether the clip is there, made from just this."""
        try:
            facts = json.loads(self.sidecar(job).read_text(encoding="utf-8"))
            return facts["key"] == job.key and is_whole(self.folder / job.file, facts)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def keep(self, job: Keyed, made: Path, facts: Mapping[str, Any]) -> Path:
        """Bring a finished file to its place, then write its sidecar. Raises OSError, in words, where that fails."""
        target = self.folder / job.file
        target.parent.mkdir(parents=True, exist_ok=True)
        self.sidecar(job).unlink(missing_ok=True)  # of another clip with this name
        with whole_file(target) as part:
            shutil.copyfile(made, part)
            digest = digest_of(part)
        with whole_file(self.sidecar(job)) as part:
            written = {**facts, "sha256": digest, "bytes": target.stat().st_size}
            part.write_text(json.dumps(written, ensure_ascii=False, indent=1), **UTF_8)
        return target

    def remove(self, file: str) -> None:
        """Take a clip away, its sidecar first: without one it is not made. file: its path below the folder."""
        (self.folder / f"{file}.json").unlink(missing_ok=True)
        (self.folder / file).unlink(missing_ok=True)

    def event(self, name: str, **facts: Any) -> None:
        """Add a line to the run's record."""
        self._append(EVENTS, {"time": round(time.time(), 3), "event": name, **facts})

    def failed(self, where: str, error: str, **facts: Any) -> None:
        """Add a line to the list of what was not made, and why."""
        self.failures += 1
        self._append(FAILED, {"where": where, "error": error, **facts})

    def _append(self, name: str, facts: Mapping[str, Any]) -> None:
        try:
            with open(self.folder / name, "a", **UTF_8) as file:
                file.write(json.dumps(facts, ensure_ascii=False) + "\n")
        except OSError as problem:
            raise Unwritable(
                f"{self.folder / name} cannot be written to ({problem.strerror}): free space on its disk, or have it "
                "written to, and run the same again: what is finished stays"
            ) from problem


def is_whole(clip: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a clip is there as its sidecar says: a machine that crashed may have lost its end."""
    size = clip.stat().st_size
    return clip.is_file() and facts.get("bytes", size) == size


def entries_of(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, one by one; nothing of one that may not be read, as a disk's lost+found."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except PermissionError:
        return


def _half_written(folder: str | Path) -> Iterator[Path]:
    """What killed runs left below a folder, looked through entry by entry: it may hold a hundred thousand clips."""
    for entry in entries_of(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _half_written(entry.path)
        elif _LEFT.fullmatch(entry.name):
            yield Path(entry.path)
