"""What a source yields: jobs, problems, notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tools.jobs.job import Job
from tools.jobs.values import escaped


@dataclass(frozen=True)
class Problem:
    """Something that makes no clip: where it is, and what is wrong with it, on one line.

    `begins`: the first of its row, so that rows can be counted.
    """

    where: str
    what: str
    begins: bool = True

    def __str__(self) -> str:
        return _on_one_line(f"{self.where}: {self.what}")


@dataclass(frozen=True)
class Note:
    """Something that was done otherwise than one may expect."""

    where: str
    what: str

    def __str__(self) -> str:
        return _on_one_line(f"{self.where}: {self.what}")


Found = Iterator[Job | Problem | Note]


def problems(where: str, all_of_them: list[str]) -> Iterator[Problem]:
    """One for each thing that is wrong with a row."""
    for index, what in enumerate(all_of_them):
        yield Problem(where, what, begins=index == 0)


def _on_one_line(text: str) -> str:
    return escaped(text).replace("\r", " ").replace("\n", " ")
