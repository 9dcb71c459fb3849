"""What the service finds again when it starts: clips in the folder, and rows that were accepted and not yet made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seine_model.writing import whole_file
from tools.jobs.fields import FORMATS
from tools.jobs.results import Results, entries_of, is_whole

SERVICE = ".seine-service"
ASIDE = ".unreadable"
SIDECARS = tuple(f".{ending}.json" for ending in FORMATS)


@dataclass(frozen=True)
class Finished:
    """A clip with its sidecar. file: its path below the folder; time: when it was finished."""

    key: str
    name: str
    file: str
    kind: str
    prompt: str
    time: float
    seconds: float


class WaitingRows:
    """Each is a file of its own in `folder`, written before it is accepted and removed when its clip is there."""

    def __init__(self, folder: Path):
        self._folder = folder

    def add(self, key: str, row: dict[str, Any], asked: float) -> None:
        """Raises OSError, in words, where it cannot be written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self._folder / f"{key}.json") as part:
            part.write_text(json.dumps({"asked": asked, "row": row}), encoding="utf-8")

    def remove(self, key: str) -> None:
        (self._folder / f"{key}.json").unlink(missing_ok=True)

    def rows(self, unreadable: Callable[[str, str], None]) -> list[tuple[float, str, dict[str, Any]]]:
        """When each was asked for, its key, and its values; the first is first.

        unreadable: is told the key of one that cannot be read, as a crash may leave it, and why; it is set aside, and
        not read again.
        """
        found = []
        for path in self._folder.glob("*.json"):
            try:
                held = json.loads(path.read_text(encoding="utf-8"))
                found.append((float(held["asked"]), path.stem, dict(held["row"])))
            except (OSError, ValueError, KeyError, TypeError) as problem:
                aside = path.with_suffix(ASIDE)
                with suppress(OSError):
                    path.replace(aside)
                unreadable(path.stem, f"its row cannot be read ({problem}), and is now {aside}; ask for it again")
        return sorted(found, key=lambda each: each[:2])


def finished(results: Results) -> list[Finished]:
    """The clips of a folder, whoever made them; the first is first."""
    return sorted(_finished(results.folder, results.folder), key=lambda clip: clip.time)


def _finished(folder: Path, top: Path) -> Iterator[Finished]:
    for entry in entries_of(folder):
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):
                yield from _finished(Path(entry.path), top)
        elif entry.name.endswith(SIDECARS):
            clip = read_sidecar(Path(entry.path), top)
            if clip is not None:
                yield clip


def read_sidecar(sidecar: Path, top: Path) -> Finished | None:
    """The clip of a sidecar below the folder `top`; None where it is no sidecar, or its clip is not whole."""
    clip = sidecar.with_suffix("")
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
        texts = [str(facts[name]) for name in ("key", "id", "kind", "prompt")]
        time, seconds = sidecar.stat().st_mtime, float(facts["seconds"])
        if not is_whole(clip, facts):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    key, name, kind, prompt = texts
    return Finished(key, name, clip.relative_to(top).as_posix(), kind, prompt, time, seconds)
