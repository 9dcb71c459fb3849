"""Many clips with one command: from a folder, a table of rows, or an official configuration file.

    python tools/batch.py photos --output clips --dry-run
    python tools/batch.py configs/sample_i2v.yaml --output clips
    python tools/batch.py rows.csv --output clips --checkpoint seine-small.safetensors --set cfg=2

What is finished is skipped, so running the command again goes on where it was. docs/batches.md has rows and keys.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.environment import SetupError
from tools.hosting.server import ServerError
from tools.jobs.options import add_options, check, settings_of

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk says."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "input", type=Path, help="a folder, a .csv, .jsonl or .yaml file of rows, or an official .yaml configuration"
    )
    parser.add_argument(
        "--output", type=Path, help="folder for the clips (of a configuration: its save_path, where this is left out)"
    )
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="local: one ComfyUI; ray: many")
    parser.add_argument("--dry-run", action="store_true", help="print the jobs as JSON lines and make nothing")
    parser.add_argument("--limit", type=int, help="only so many jobs, from the first on")
    add_options(parser)
    parser.add_argument("--here", action="store_true", help="in this Python, which has all that is needed: no pip")
    options = parser.parse_args(arguments)
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit: {options.limit} is too few: give 1 or more")
    if options.engine != "ray" and (options.address or options.hosts_per_gpu > 1):
        parser.error("--address and --hosts-per-gpu go with --engine ray")
    check(parser, options)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a folder's name need not be text: JSON has escapes for it
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for the jobs alone
            if options.here:
                os.environ.setdefault(environment.STARTED, str(time.time()))
            own = "ray" if options.engine == "ray" and not options.dry_run else None
            code = environment.enter(Path(__file__), "client", "batch", own=own)
        return run(options) if code is None else code
    except (SetupError, ServerError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads the jobs has seen enough
        _say_no_more()
        return 1
    except OSError as problem:
        if problem.errno not in (None, *FULL):  # None: in words already
            raise
        remedy = "" if problem.errno is None else ": free space, and run the same command again"
        print(f"error: {problem}{remedy}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _say_no_more()
        return 2
    except KeyboardInterrupt:
        print("cancelled; what is finished stays, and the same command goes on from there", file=sys.stderr)
        return 130


def _say_no_more() -> None:
    """What has not been printed yet is dropped, and not tried once more in the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(options: argparse.Namespace) -> int:
    from tools.jobs.models import default_roots
    from tools.jobs.sources import NotASource, source_of

    try:
        source = source_of(options.input, settings_of(options.set))
    except NotASource as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    output = options.output or (Path(source.output()) if source.output() else None)
    if output is None and not options.dry_run:
        print("error: --output is missing: name the folder for the clips", file=sys.stderr)
        return 2
    if source.path.is_dir() and output is not None and output.resolve() == source.path.resolve():
        print(f"error: --output: {output} is the folder of the images: name another", file=sys.stderr)
        return 2
    models = source.models(options.checkpoint, options.base, default_roots(options.models))

    def jobs() -> Iterator[Any]:
        return _limited(source.jobs(models, output), options.limit)

    if options.dry_run:
        return dry_run(jobs(), models)
    from tools.jobs import local, on_ray
    from tools.jobs.results import Results

    results, cpu = Results(output), options.device == "cpu"
    if options.engine == "ray":
        cluster = on_ray.Cluster(options.address, options.hosts_per_gpu, options.host, cpu)
        tally = on_ray.make_all(jobs, results, models, cluster, tell)
    else:
        tally = local.make_all(jobs, results, models, lambda: hosts.find(options.host), cpu, tell)
    print(f"{tally}\nIn {output}")
    return 0 if tally.complete else 1


def dry_run(jobs: Iterable[Any], models: Any) -> int:
    """Print each job on a line of its own; 0 where there is nothing wrong with any."""
    from tools.jobs.keys import Keyed

    wrong = 0
    if models.fingerprint is None:
        print(f"note: keys are of the checkpoint's name: {models.missing()}", file=sys.stderr)
    for item in jobs:
        if isinstance(item, Keyed):
            print(json.dumps(item.described(models), ensure_ascii=False))
        else:
            wrong += tell(item)
    sys.stdout.flush()
    return 1 if wrong else 0


def tell(item: Any) -> int:
    """Print a problem or a note; returns how many problems that is."""
    from tools.jobs.found import Problem

    wrong = isinstance(item, Problem)
    print(f"{'error' if wrong else 'note'}: {item}", file=sys.stderr)
    return int(wrong)


def _limited(items: Iterable[Any], limit: int | None) -> Iterator[Any]:
    """The items up to the limit-th job."""
    from tools.jobs.keys import Keyed

    count = 0
    for item in items:
        yield item
        count += isinstance(item, Keyed)
        if count == limit:
            return


if __name__ == "__main__":
    sys.exit(main())
