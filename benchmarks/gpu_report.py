"""The tables of `gpu.py`'s results, and their place in docs/performance.md."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks import processor
from tools.hosting.documents import with_part

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
GIB = 1 << 30
LIMITS = {"fp32": 1e-3, "frames": 2e-2}
"""How far from the CPU's fp32 a device may be, as a share of the spread, beyond twice what the CPU is off by."""
LIMIT = 5e-2
"""The same for formats of fewer bits, which the CPU computes in fp32 where it has no instructions for them."""


def written_into(text: str, results: dict[str, Any]) -> str:
    """The document with these tables between its marks. Raises ValueError where it has none."""
    return with_part(text, "gpu.py", tables(results))


def tables(results: dict[str, Any]) -> str:
    """Markdown: a heading with the device's name, and what was found of each part, or why nothing was."""
    parts = results["parts"]
    device = _device(parts) or "a device that was not asked for its name"
    lines = [f"### {device}", "", f"{results['host']}{', as small as it goes' if results['small'] else ''}"]
    for name, part in parts.items():
        lines += ["", f"**{name}**", ""]
        lines += [f"not measured: {part['error']}"] if part.get("error") else _TABLES[name](part["found"])
    return "\n".join(lines)


def _device(parts: dict[str, Any]) -> str | None:
    """Its name, as the parts that ask for it have it."""
    compared, timed = (parts.get(name, {}).get("found", {}) for name in ("comparison", "step"))
    return compared.get("device") or timed.get("numbers", {}).get("device_name")


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def _comparison(found: dict[str, Any]) -> list[str]:
    rows = []
    for name, (cpu, device) in found["errors"].items():
        right = device <= 2 * cpu + LIMITS.get(name, LIMIT)
        rows.append([name, f"{cpu:.1e}", f"{device:.1e}", "right" if right else "**wrong**"])
    return _table(["clip in", "the CPU, off its fp32 by", "this device", ""], rows)


def _steps(found: list[dict[str, Any]]) -> list[str]:
    rows = []
    for row in found:
        problems = [row["error"], *row["strays"], *row["waits"]]
        taken = f"{row['allocated'] / GIB:.2f}" if "allocated" in row else "–"
        seconds = f"{1000 * row['seconds']:.1f}" if "seconds" in row else "–"
        words = "; ".join(problem for problem in problems if problem) or "right"
        rows.append([row["name"], words, f"{row['peak'] / GIB:.2f}", taken, seconds])
    return _table(["", "placed", "GiB counted", "GiB taken", "ms"], rows)


def _unet(found: dict[str, Any]) -> list[str]:
    from benchmarks import unet  # which needs PyTorch

    return [f"    {found['command']}", "", *unet.table(found["numbers"]), *_cut_short(found)]


def _clip(found: dict[str, Any]) -> list[str]:
    numbers = found["numbers"]
    stages = list(numbers["first"])
    rows = [["first, with loading", *(f"{numbers['first'][stage]:.2f} s" for stage in stages)]]
    for name, clips in {"": numbers["clips"], **numbers["others"]}.items():
        medians = [f"{statistics.median(clip[stage] for clip in clips):.2f} s" for stage in stages]
        rows.append([f"median of {len(clips)}{name and ', '}{name}", *medians])
    return [f"    {found['command']}", "", *_table(["", *stages], rows), *_cut_short(found)]


def _processor(found: dict[str, Any]) -> list[str]:
    return [f"    {found['command']}", "", *processor.table(found["numbers"]), *_cut_short(found)]


def _small_model(found: dict[str, Any]) -> list[str]:
    heads = {"first": "first frame", "last": "last frame", "same": "against the first row"}
    rows = []
    for result in found["numbers"]:
        cells = ["–" if result[name] is None else f"{result[name]:.1f} dB" for name in heads]
        cells += ["–" if result[name] is None else f"{result[name]:.0%}" for name in ("motion", "both")]
        rows.append([result["name"], result["task"], *cells, f"{result['seconds']:.2f}"])
    columns = ["", "task", *heads.values(), "motion", "colour and shape", "s per clip"]
    return [f"    {found['command']}", "", *_table(columns, rows), *_cut_short(found)]


def _films(found: dict[str, Any]) -> list[str]:
    rows = []
    for name, row in found["numbers"]["formats"].items():
        cells = [f"{row[key]:.2f}" for key in ("seams", "drift", "loop")]
        cells += [f"{row[key]:.1f} dB" if key in row else "–" for key in ("first", "last")]
        rows.append([name, *cells])
    columns = ["weights", "seams", "colour drift", "loop", "first clip against fp32", "last frames"]
    return [f"    {found['command']}", "", *_table(columns, rows), *_cut_short(found)]


def _cards(found: dict[str, Any]) -> list[str]:
    seconds = found["seconds"]
    if len(found["devices"]) < 2:
        return [f"one card here ({found['devices'][0]}): nothing to split"]
    return [f"one: {seconds['one']:.2f} s, two: {seconds['two']:.2f} s, difference {found['difference']:.1e}"]


def _cut_short(found: dict[str, Any]) -> list[str]:
    return ["", f"cut short: {found['problem'].splitlines()[-1]}"] if found["problem"] else []


_TABLES = {
    "comparison": _comparison,
    "steps in ComfyUI": _steps,
    "step": _unet,
    "step, fp32": _unet,
    "clip": _clip,
    "processor": _processor,
    "small model": _small_model,
    "films": _films,
    "two cards": _cards,
}
