"""The tables of docs/compatibility.md: written from rows, and read again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tools.authoring.compatibility.judge import ROUNDED
from tools.authoring.compatibility.rows import OUTCOMES, Row
from tools.authoring.compatibility.stock import GROUPS, StockNode
from tools.hosting.documents import with_part

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compatibility.md"
BEGIN, END = "<!-- nodes: begin -->", "<!-- nodes: end -->"
COMMAND = "python tools/authoring/build_compatibility.py"
_ABOUT = """\
Made by `{command}` in ComfyUI {version}: all {count} of its own nodes that
take or give a MODEL, CLIP, VAE, CONDITIONING, LATENT, ControlNet, hook, SAMPLER, SIGMAS, GUIDER or NOISE, by their
names in workflows. Each is put into a plain clip (Load SEINE Checkpoint, SEINE Image to Video, SamplerCustomAdvanced,
SEINE KSampler) on a running server, with inputs that should tell. It *acts* where the clip's latents are others, by
more than {rounded:.5f} of the largest, or a file is written. After each of them the plain clip is the same, bit for
bit.

The model is narrow and has made-up weights, as have ControlNet, adapters and image encoder: *acts* shows that a node
reaches SEINE and that what it gives is sampled, not how it looks. *Of another model*: the node asks for what only
another model's files give, or stops for want of it before SEINE is asked."""


def tables(rows: Mapping[str, Row], nodes: Mapping[str, StockNode], version: str) -> str:
    """Everything between the marks. `rows`: by "name" or "name (label)"."""
    parts = [_ABOUT.format(command=COMMAND, version=version, count=len(nodes), rounded=ROUNDED)]
    for group in GROUPS:
        mine = {key: row for key, row in rows.items() if nodes[name_of(key)].group == group}
        if mine:
            parts.append(f"### {group}\n\n| Outcome | Nodes | Why, or in which words |\n|---|---|---|\n" + _lines(mine))
    return "\n\n".join(parts)


def write(content: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_part(text, "nodes", content), encoding="utf-8")


def read(text: str) -> dict[str, Row]:
    """The rows of the page, by "name" or "name (label)". Raises ValueError for one that is there twice."""
    found = {}
    for line in text.partition(BEGIN)[2].partition(END)[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) != 3 or not line.startswith("| ") or cells[0] == "Outcome":
            continue
        for part in cells[1].split("; "):
            model, _, names = part.rpartition(": ")
            for name, label in re.findall(r"`([^`]+)`(?: \(([^)]*)\))?", names):
                key = f"{name} ({label})" if label else name
                if key in found:
                    raise ValueError(f"the page says {key} twice")
                found[key] = Row(cells[0], cells[2], model)
    return found


def name_of(key: str) -> str:
    """The node's name in "name (label)"."""
    return key.partition(" (")[0]


def _lines(rows: Mapping[str, Row]) -> str:
    """One line for each outcome and reason, in the order of the outcomes, then of the nodes."""
    lines: dict[tuple[str, str], dict[str, list[str]]] = {}
    # What needs no more words comes first.
    for key, row in sorted(rows.items(), key=lambda each: (OUTCOMES.index(each[1].outcome), bool(each[1].why))):
        lines.setdefault((row.outcome, row.why), {}).setdefault(row.of, []).append(_shown(key))
    return "\n".join(f"| {outcome} | {_names(models)} | {why} |" for (outcome, why), models in lines.items())


def _names(models: Mapping[str, list[str]]) -> str:
    listed = {model: ", ".join(names) for model, names in sorted(models.items(), key=lambda each: each[0].casefold())}
    return "; ".join(f"{model}: {names}" if model else names for model, names in listed.items())


def _shown(key: str) -> str:
    name, bracket, label = key.partition(" (")
    return f"`{name}`{bracket}{label}"
