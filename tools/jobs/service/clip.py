"""One clip that is asked for, who makes it, and why it may be refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.jobs.keys import Keyed
from tools.jobs.making import Outcome

WAITING, MAKING, MADE, FAILED = STATES = ("waiting", "making", "made", "failed")


class MakerGone(RuntimeError):
    """Whoever was making a clip is gone; another one may make it."""


class Full(RuntimeError):
    """As many wait as may; `seconds`: when there may be room again."""

    def __init__(self, most: int, seconds: int):
        super().__init__(f"{most} clips wait already: ask again in {seconds} s")
        self.seconds = seconds


class Taken(RuntimeError):
    """Another clip has this row's id."""


@dataclass
class Clip:
    """key: its id; name: the row's id, or its file's; asked: when, in seconds since 1970; item: None of a found one."""

    key: str
    name: str
    file: str
    kind: str
    prompt: str
    state: str
    asked: float
    seconds: float | None = None
    error: str | None = None
    item: Keyed | None = None
    images: list[Path] = field(default_factory=list)
    """Those that were sent with it, held until it is made."""


Make = Callable[[Keyed], Awaitable[Outcome]]
"""Makes a job somewhere; raises MakerGone where that has died. Cancelled, it ends when nothing of it can be written any
more; cancelled once more, at once."""
