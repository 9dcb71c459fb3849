"""The progress bar of all commands, by tqdm: drawn anew on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30


def bar(name: str, total: float, done: float = 0, unit: str = "step") -> tqdm:
    """A bar on standard error; a context manager with `update` and `set_postfix`."""
    from tqdm import tqdm  # commands read this file before the environment that has it is there

    seconds = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    return tqdm(total=total, initial=done, desc=name, unit=unit, mininterval=seconds, smoothing=0.05)


class PhaseBars:
    """One bar after the other, for work that says which phase it is in and how far that is."""

    def __init__(self, unit: str = "step") -> None:
        self._unit = unit
        self._name: str | None = None
        self._bar: tqdm | None = None

    def show(self, name: str, value: float, total: float) -> None:
        """A phase of another name than the last one's, or one that begins again, has a bar of its own."""
        if self._bar is None or self._name != name or value < self._bar.n:
            self.close()
            self._name, self._bar = name, bar(name, total, unit=self._unit)
        self._bar.update(value - self._bar.n)
        if value >= total:
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._name = self._bar = None
