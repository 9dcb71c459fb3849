"""Reads the values of a row or a configuration: what is wrong is noted by key, with the nearest right one."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from seine_model.picture_folders import is_text

MOST_SHOWN = 60
NO_VALUE = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What a YAML reader raises, beside its own errors, where a value is not of the kind that it looks like, as the date
2024-13-45."""
_WHOLE = re.compile(r"[+-]?\d{1,20}(?:\.0+)?")
_TRUE_FALSE = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like `word`; where none is like it, all of them."""
    known = list(known)
    lowered = {name.lower(): name for name in reversed(known)}
    found = difflib.get_close_matches(str(word).lower(), lowered, 1, 0.5)
    return lowered[found[0]] if found else f"one of {', '.join(known)}"


def escaped(text: str) -> str:
    """A text that can be written as UTF-8: what is no whole character in it is escaped."""
    return text.encode(errors="backslashreplace").decode()


def shown(value: Any) -> str:
    """A value for a message: on one line, and short."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


class Values:
    """The values of one row by key. Each reader returns the value, or the default where the key is missing or empty.

    A wrong one is noted in `problems` as ``key: what is wrong; what is right`` and read as the default, so that one
    look at a row finds everything that is wrong in it.
    """

    def __init__(self, values: Mapping[str, Any]):
        self._values = values
        self.problems: list[str] = []

    def only(self, known: Iterable[str]) -> None:
        """Note every key that is not one of these."""
        known = list(known)
        for key in self._values:
            if key not in known:
                self.wrong(str(key), f"there is no such key; the nearest is {nearest(str(key), known)}")

    def has(self, key: str) -> bool:
        value = self._values.get(key)
        return value is not None and not (isinstance(value, str) and not value.strip())

    def raw(self, key: str) -> Any:
        return self._values.get(key)

    def wrong(self, key: str, what: str) -> None:
        self.problems.append(f"{key}: {what}")

    def whole(self, key: str, default: int | None, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`."""
        if not self.has(key):
            return default
        value = self._values[key]
        if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            value = int(value.strip().partition(".")[0])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, f"{shown(value)} is not a whole number; give one from {low} to {high}, such as {default}")
            return default
        if not low <= value <= high:
            self.wrong(key, f"{value} is out of range; the nearest right one is {min(max(value, low), high)}")
            return default
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        if not self.has(key):
            return default
        value = self._values[key]
        try:
            read = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            read = math.nan
        if math.isnan(read):
            self.wrong(key, f"{shown(value)} is not a number; give one from {low:g} to {high:g}, such as {default:g}")
            return default
        if not low <= read <= high:
            self.wrong(key, f"{read:g} is out of range; the nearest right one is {min(max(read, low), high):g}")
            return default
        return read

    def text(self, key: str, default: str = "") -> str:
        """Text; numbers are taken for it, since a table does not tell them apart."""
        if self._values.get(key) is None:
            return default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.wrong(key, f"{shown(value)} is not text; write it in quotes")
            return default
        if not is_text(str(value)):
            self.wrong(key, f"{shown(value)} has half a character, which nothing can write; give the whole one")
            return default
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        if not self.has(key):
            return default
        value = self._values[key]
        if isinstance(value, str):
            value = _TRUE_FALSE.get(value.strip().lower(), value)
        if not isinstance(value, bool):
            self.wrong(key, f"{shown(value)} is neither true nor false; the nearest right one is {default}")
            return default
        return value

    def choice(self, key: str, default: str, choices: Iterable[str]) -> str:
        """One of the choices; capitals and space around it do not matter."""
        if not self.has(key):
            return default
        value, choices = self._values[key], list(choices)
        if isinstance(value, str) and value.strip().lower() in choices:
            return value.strip().lower()
        self.wrong(key, f"{shown(value)} is not known; the nearest right one is {nearest(str(value), choices)}")
        return default
