"""Decoding on the CPU as the pack does it, beside the host's own way: `python benchmarks/vae.py`.

Stable Diffusion 1.x's VAE with made-up weights and the small model's, by turns: maps in plain order and channels-last,
and of the small model's also all channels of its layout beside those that are not always zero.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.server import run_in_host
from tools.train import SMALL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="of each way (default 9)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--host", choices=hosts.CHOICES, default="best", help="ComfyUI whose VAE it is")
    arguments = parser.parse_args()
    code = environment.enter(Path(__file__), "client")
    if code is not None:
        return code
    with tempfile.TemporaryDirectory(prefix="seine-vae-") as folder:
        given = {"model": str(SMALL), "runs": arguments.runs, "threads": arguments.threads}
        script = Path(__file__).with_name("vae_decoding_in_host.py")
        rows = run_in_host(hosts.find(arguments.host), Path(folder), script, given)
    columns = ("VAE", "frames", "way", "ms, median", "against the host's own")
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
