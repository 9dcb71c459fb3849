"""The test command: `python tools/run_tests.py [pytest arguments]`.

Sets up everything the tests need (see environment.py and hosts.py), runs pytest with the given arguments and says last
which ComfyUI hosts the tests ran in. `--host registry`, `--host modern` or `--host all` (the default) chooses them.
`-n 0` runs them one after the other in one process.

    python tools/run_tests.py -m "not host"
    python tools/run_tests.py --host modern tests/host -k film
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment
from tools.hosting.environment import SetupError, say

MOST_PROCESSES = 4
REPOSITORY = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(__doc__ + "\nAll other arguments go to pytest: python -m pytest --help lists them.")
        return 0
    started = time.monotonic()
    try:
        python = environment.ensure("client", "batch", "torch", "training", "tests", "browser")
    except SetupError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    say(f"environment ready after {time.monotonic() - started:.0f} s")
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(os.environ.get("SEINE_HOST_SUMMARY") or Path(folder) / "hosts.txt")
        # Two processes of one thread take less time than one of two: much of a test is waiting for a host to start.
        command = [python, "-m", "pytest", "-n", "auto", "--maxprocesses", str(MOST_PROCESSES), "--dist", "loadgroup"]
        command += ["--no-loadscope-reorder"]  # tests/conftest.py has the order
        threads = max(1, (os.cpu_count() or 1) // MOST_PROCESSES)
        defaults = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(threads)}
        code = environment.run_to_its_end(
            [*command, *arguments],
            cwd=REPOSITORY,
            env={**defaults, **os.environ, "SEINE_HOST_SUMMARY": str(summary)},
        )
        if summary.exists():
            print(summary.read_text(encoding="utf-8"), flush=True)
    say(f"tests took {time.monotonic() - started:.0f} s in all")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
