"""Whatever a run is given, a folder, a table or an official configuration, as a stream of jobs with keys."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.jobs.folders import jobs_in_folder
from tools.jobs.found import Found, Note, Problem
from tools.jobs.keys import Keyed, keyed
from tools.jobs.models import Models, models_of
from tools.jobs.official import Official, jobs_of_official, read_official
from tools.jobs.tables import READERS, jobs_in_table
from tools.jobs.values import escaped, nearest

YAML = (".yaml", ".yml")


class NotASource(ValueError):
    """The input is none that jobs can be read from; the message says what is."""


@dataclass(frozen=True)
class Source:
    """An input that exists. `official`: its values, where it is an official configuration."""

    path: Path
    settings: Mapping[str, Any]
    official: Official | None = None

    @property
    def folders(self) -> list[Path]:
        """Where relative paths begin: in the working folder, as in the official code, else beside the input."""
        return [Path.cwd(), self.path.parent]

    def models(self, checkpoint: str | None, base: str | None, roots: Sequence[Path]) -> Models:
        """Those that were asked for, else those of the configuration."""
        if self.official is not None and checkpoint is None:
            checkpoint = self.official.path("ckpt")
            base = base or self.official.path("pretrained_model_path")
        return models_of(checkpoint, base, roots, self.folders)

    def output(self) -> str | None:
        """The folder that a configuration itself names."""
        return None if self.official is None else self.official.path("save_path")

    def found(self, output: Path | None) -> Found:
        """Its jobs, problems and notes, in order; read anew with every call."""
        without = None if output is None else output.resolve()
        if self.path.is_dir():
            yield from jobs_in_folder(self.path, self.settings, without)
        elif self.official is not None:
            yield from jobs_of_official(self.path, self.official, self.folders, without)
        else:
            yield from jobs_in_table(self.path, self.settings, self.folders)

    def _found_on(self, output: Path | None) -> Found:
        try:
            yield from self.found(output)
        except OSError as problem:
            yield Problem(self.path.name, f"it cannot be read on ({problem}); let it be read")

    def jobs(self, models: Models, output: Path | None = None) -> Iterator[Keyed | Problem | Note]:
        """Its jobs with their keys. Two jobs never have one file, unless they are the same."""
        some = False
        with _names() as name_of:
            for item in self._found_on(output):
                if isinstance(item, Note | Problem):
                    some = some or isinstance(item, Problem)
                    yield item
                    continue
                some = True
                where = escaped(self.path.name if item.number is None else f"{self.path.name}, row {item.number}")
                try:
                    job = keyed(item, models)
                except OSError as problem:
                    yield Problem(where, f"images: they cannot be read any more ({problem}); put them back")
                    continue
                other = name_of(job.file.casefold(), job.key, where)
                if other is None:
                    yield job
                else:
                    yield Problem(where, f"id: {job.id!r:.60} is that of {other} too; give each row one of its own")
        if not some:
            yield Problem(self.path.name, "it has no images, nor sub-folders with two; give a folder that has")


def source_of(path: Path, settings: Mapping[str, Any]) -> Source:
    """The input at a path. Raises NotASource for one that is missing, of another kind, or a broken configuration."""
    if not os.path.exists(path):
        raise NotASource(f"{path}: there is no such file or folder")
    path = path.absolute()
    if path.is_dir():
        return Source(path, settings)
    if path.suffix.lower() not in READERS:
        near = nearest(path.suffix, READERS)
        raise NotASource(f"{path.name}: its ending is not known; the nearest right one is {near}")
    if path.suffix.lower() in YAML and not _is_list(path):
        official = read_official(path, settings)
        if isinstance(official, str):
            raise NotASource(f"{path.name}: {' '.join(official.split())}")
        return Source(path, settings, official)
    return Source(path, settings)


def _is_list(path: Path) -> bool:
    """Whether a YAML file holds rows and not a configuration."""
    import yaml

    try:
        with open(path, encoding="utf-8-sig") as file:
            for event in yaml.parse(file):
                if isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent | yaml.ScalarEvent):
                    return isinstance(event, yaml.SequenceStartEvent)
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return False
    return True


@contextmanager
def _names() -> Iterator[Any]:
    """Remembers who has which file name, on disk: memory stays flat, however many there are."""
    store = sqlite3.connect("", isolation_level=None)  # a file of its own, which the system removes
    store.execute("PRAGMA synchronous = OFF")
    store.execute("PRAGMA journal_mode = OFF")
    store.execute("CREATE TABLE names (name TEXT PRIMARY KEY, key TEXT, place TEXT) WITHOUT ROWID")

    def name_of(name: str, key: str, where: str) -> str | None:
        """Who has this name already, with another key; else None."""
        store.execute("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", (name, key, where))
        other, place = store.execute("SELECT key, place FROM names WHERE name = ?", (name,)).fetchone()
        return None if other == key else place

    try:
        yield name_of
    finally:
        store.close()
