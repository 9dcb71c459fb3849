"""What the pack asks of a CUDA card, counted where there is none: `python benchmarks/fake_cuda.py`.

One step at full size for each case, in a real ComfyUI, on PyTorch's fake tensors: whether everything is where and in
the dtype it should be, how often the step waits for the card, how much memory it holds at most beside what ComfyUI
reserves for it, which attention kernels it gets, and how many bytes are copied only to lie in another order. No time is
measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.documents import with_part
from tools.hosting.server import REPOSITORY, run_in_host

DOCUMENT = REPOSITORY / "docs" / "performance.md"
COLUMNS = ("placed", "waits", "weights", "held at most", "of it the step", "reserved", "attention", "reordered")
GIB = 1 << 30


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{DOCUMENT.name}")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "torch")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    with tempfile.TemporaryDirectory(prefix="seine-fake-cuda-") as folder:
        found = run_in_host(host, Path(folder), Path(__file__).with_name("fake_cuda_in_host.py"))
    rows = [*found["cases"], *found["decoding"]]
    problems = [problem for problem in map(problems_of, rows) if problem]
    print(host.describe(), table(rows), *problems, sep="\n")
    if arguments.write:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return int(bool(problems))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a markdown table, memory in GiB."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        step, reserved = row["peak"] - row["weights"], row.get("reserved")
        attention = ", ".join(f"{count} {kernel}" for kernel, count in row["kernels"].items())
        cells = ["right" if row["placed"] else "wrong", sum(row["waits"].values())]
        cells += [f"{size / GIB:.2f}" for size in (row["weights"], row["peak"], step)]
        cells += ["" if reserved is None else f"{reserved / GIB:.2f}", attention, f"{row['reordered'] / GIB:.2f}"]
        lines.append(f"| {row['name']} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def problems_of(row: dict[str, Any]) -> str:
    """What is wrong with a row, a line for each; nothing where nothing is."""
    found = [row["error"], *row["strays"], *row["waits"]]
    return "\n".join(f"{row['name']}: {problem}" for problem in found if problem)


def with_table(text: str, rows: list[dict[str, Any]]) -> str:
    """The document with this table between its marks."""
    return with_part(text, "fake_cuda.py", table(rows))


if __name__ == "__main__":
    sys.exit(main())
