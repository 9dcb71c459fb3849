"""From what happened to a node to what the page says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.authoring.compatibility.judge import ACTS, NOTHING, REFUSED, ROUNDING, STOPS, Outcome
from tools.authoring.compatibility.reasons import ACTS as NOTES
from tools.authoring.compatibility.reasons import ALWAYS_OTHERS, HOST, family
from tools.authoring.compatibility.reasons import NOTHING as BY_DESIGN
from tools.authoring.compatibility.stock import StockNode

OTHERS = "of another model"
STOPPED = "stops in ComfyUI"
OUTCOMES = (ACTS, NOTHING, REFUSED, STOPPED, OTHERS)
"""Of the page, in its order."""


class Unexplained(ValueError):
    """A result that must not be, or without the reason that it needs; the message says of which node."""


@dataclass(frozen=True)
class Row:
    """What the page says of one case: an outcome of `OUTCOMES`, why or in which words, and the model it is for."""

    outcome: str
    why: str = ""
    of: str = ""


def key_of(name: str, label: str) -> str:
    return f"{name} ({label})" if label else name


def row_of(stock: StockNode, label: str, outcome: Outcome | None) -> Row:
    """None: the node was not run. Raises Unexplained."""
    key, other = key_of(stock.name, label), family(stock.name, stock.category)
    if outcome is None or stock.name in ALWAYS_OTHERS:
        if other is None:
            raise Unexplained(f"{key}: it was not run, and is not known to be for another model")
        return Row(OTHERS, of=other)
    if outcome.kind == ACTS:
        return Row(ACTS, NOTES.get(key, ""))
    if outcome.kind == REFUSED:
        return Row(REFUSED, f"`{in_general(outcome.words)}`")
    if outcome.kind == STOPS and other is not None:
        return Row(OTHERS, of=other)
    if outcome.kind == STOPS and key in HOST:
        return Row(STOPPED, HOST[key])
    if outcome.kind in (NOTHING, ROUNDING) and key in BY_DESIGN:
        return Row(NOTHING, BY_DESIGN[key])
    raise Unexplained(f"{key}: {outcome.kind} {outcome.words} {outcome.node_type}".rstrip())


def in_general(words: str) -> str:
    """A message without the numbers of one clip."""
    words = re.sub(r"\bgot .*", "got …", words)
    return re.sub(r"\b\d+(?= (?:frames|wide)\b)|(?<=has )\d+|(?<=reads )\d+|(?<=clips of )\d+", "…", words)
