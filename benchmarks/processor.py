"""What of a step the processor does where a card computes it, without a card: `python benchmarks/processor.py`.

A prediction of full depth in which products, convolutions, attention and the launches of the pack's own kernels do
nothing: what is left is Python's and PyTorch's way to them, which a card waits for where it is the faster of the two.
Of the network alone, in ComfyUI, and there with weights in pages (dynamic VRAM), with all of them on the card.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.server import run_in_host


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60, help="of each way, by turns (default 60)")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    parser.add_argument("--json", type=Path, help="also write every number")
    arguments = parser.parse_args()
    code = environment.enter(Path(__file__), "client")
    if code is not None:
        return code
    host = hosts.find(arguments.host)
    with tempfile.TemporaryDirectory(prefix="seine-processor-") as folder:
        script = Path(__file__).with_name("processor_in_host.py")
        found = run_in_host(host, Path(folder), script, {"runs": arguments.runs})
    print(f"{host.describe()}, one thread, two videos", *table(found), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def table(found: dict[str, Any]) -> list[str]:
    """Lines of markdown."""
    first = found["ms"][0][1]
    lines = [
        f"| {found['paged']} of {found['layers']} layers in pages | ms, least | median | more than the network's |"
    ]
    lines.append("| --- | ---: | ---: | ---: |")
    for name, least, median in found["ms"]:
        lines.append(f"| {name} | {least:.1f} | {median:.1f} | {least - first:.1f} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
