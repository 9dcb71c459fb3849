"""A batch on Ray, on this machine: `python benchmarks/cluster.py [--only faults speed] [--write]`.

faults    two Ray nodes with a ComfyUI each make clips of all kinds, while an actor, a ComfyUI, the command and a node
          are killed; what is there in the end is held beside what one host makes alone
speed     the same clips by one host without Ray, by one on Ray, and by two

Exit status 1 where a clip is lost, made twice or wrong, or where something is left over. Linux.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.documents import with_part

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "batches.md"
PARTS = ("faults", "speed")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="do a part of it")
    parser.add_argument("--jobs", type=int, default=40, help="of the faults (default: 40)")
    parser.add_argument("--clips", type=int, default=24, help="of each engine's speed (default: 24)")
    parser.add_argument("--rounds", type=int, default=1, help="of each engine (default: 1)")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI to run in")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{DOCUMENT.name}")
    arguments = parser.parse_args()
    if arguments.jobs < 25 or arguments.clips < 6 or arguments.rounds < 1:
        parser.error("--jobs: at least 25; --clips: at least 6; --rounds: at least 1")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    code = environment.enter(Path(__file__), "client", "batch", own="ray")
    if code is not None:
        return code
    from benchmarks.cluster_faults import faults
    from benchmarks.cluster_speed import speed

    wrong = []
    for part in arguments.only:
        with tempfile.TemporaryDirectory(prefix="seine-cluster-") as folder:
            if part == "faults":
                text, problems = faults(Path(folder), arguments.host, arguments.jobs)
            else:
                text, problems = speed(Path(folder), arguments.host, arguments.clips, arguments.rounds)
        print(f"\n{text}\n", flush=True)
        wrong += problems
        if arguments.write and not problems:
            DOCUMENT.write_text(
                with_part(DOCUMENT.read_text(encoding="utf-8"), f"cluster.py {part}", text), encoding="utf-8"
            )
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
