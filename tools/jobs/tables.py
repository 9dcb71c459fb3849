"""Rows of CSV, JSONL and YAML files, one after the other, however many there are."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.jobs.found import Found, Problem, problems
from tools.jobs.job import read_row
from tools.jobs.pictures import find_image
from tools.jobs.values import NO_VALUE, shown

Row = tuple[int, int, Any]
"""Number of the row, number of its line, and its values; a text is what is wrong with it."""


class Unreadable(ValueError):
    """The rest of a file cannot be read; the message says where and why."""


def jobs_in_table(path: Path, settings: Mapping[str, Any], folders: Sequence[Path]) -> Found:
    """The jobs of a file of rows. settings: values for the keys that a row leaves out."""
    row_number = 0
    try:
        for row_number, line, row in READERS[path.suffix.lower()](path):
            where = f"{path.name}, row {row_number} (line {line})"
            if not isinstance(row, dict):
                what = row if isinstance(row, str) else f"{shown(row)} is no row; write keys with values"
                yield Problem(where, what)
                continue
            given = {key: value for key, value in row.items() if value is not None and value != ""}
            job = read_row({**settings, **given}, lambda name: find_image(name, folders), row_number)
            if isinstance(job, list):
                yield from problems(where, job)
            else:
                yield job
    except (Unreadable, UnicodeDecodeError, csv.Error, OSError) as problem:
        yield Problem(f"{path.name}, after row {row_number}", f"it cannot be read on: {problem}")
        return
    if not row_number:
        yield Problem(path.name, "it has no rows; write one for each clip")


def _csv(path: Path) -> Iterator[Row]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        header = [name.strip() for name in next(lines, [])]
        repeated = {name for name in header if header.count(name) > 1}
        if repeated:
            raise Unreadable(f"the first line has {', '.join(sorted(repeated))!r} twice; name each column once")
        number = 0
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            number += 1
            if len(cells) > len(header) and any(cells[len(header) :]):
                yield (
                    number,
                    lines.line_num,
                    (f"it has {len(cells)} cells for {len(header)} columns; put texts with commas in quotes"),
                )
            else:
                yield number, lines.line_num, dict(zip(header, cells, strict=False))


def _jsonl(path: Path) -> Iterator[Row]:
    number = 0
    with open(path, encoding="utf-8-sig") as file:
        for line_number, line in enumerate(file, 1):
            if not line.strip():
                continue
            number += 1
            try:
                row = json.loads(line)
            except ValueError as problem:
                row = f"it is no JSON ({problem}); write one object on each line"
            except RecursionError:
                row = "it is no row, but nested deeper than can be read; write one object of keys with values"
            yield number, line_number, row


def _yaml(path: Path) -> Iterator[Row]:
    """The entries of a list, each made a value as soon as it has been read."""
    import yaml

    with open(path, encoding="utf-8-sig") as file:
        loader = yaml.SafeLoader(file)
        try:
            for kind in (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.SequenceStartEvent):
                if not loader.check_event(kind):
                    return
                loader.get_event()
            number = 0
            while not loader.check_event(yaml.SequenceEndEvent):
                number += 1
                node = loader.compose_node(None, None)
                line = node.start_mark.line + 1
                keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
                repeated = [str(key) for key in keys if keys.count(key) > 1]
                if repeated:
                    yield number, line, f"{repeated[0]}: it is there twice; write each key once"
                    continue
                try:
                    row = loader.construct_document(node)
                except yaml.constructor.ConstructorError as problem:
                    row = f"it cannot be read: {problem.problem}; write plain values"
                except NO_VALUE as problem:
                    row = f"it cannot be read ({problem}); write plain values, and in quotes what is no number or date"
                yield number, line, row
        except yaml.YAMLError as problem:
            raise Unreadable(str(problem)) from problem
        except RecursionError as problem:
            raise Unreadable("a row is nested deeper than can be read; write keys with values") from problem
        finally:
            loader.dispose()


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".yaml": _yaml,
    ".yml": _yaml,
}
