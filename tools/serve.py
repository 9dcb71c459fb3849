"""Clips over HTTP: rows are sent, wait their turn, are made by warm ComfyUIs on Ray, and fetched.

    python tools/serve.py --output clips
    python tools/serve.py --output clips --root photos --checkpoint seine-small.safetensors --set cfg=2
    SEINE_TOKEN=… python tools/serve.py --output /shared/clips --listen 0.0.0.0 --address auto

A page in a browser shows the queue and the clips, /docs the addresses. Ctrl-C ends it; started again, it goes on with
what waited. docs/batches.md has more, and what is protected.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment
from tools.hosting.environment import SetupError, say
from tools.hosting.server import ServerError
from tools.jobs.options import add_options, check, settings_of

THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
SHORTEST_TOKEN = 16
TOKEN = "SEINE_TOKEN"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--root", type=Path, help="folder of images that requests may name (default: they send them)")
    parser.add_argument("--listen", default="127.0.0.1", help="address to answer at (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8190, help="default: 8190")
    parser.add_argument(
        "--token-file", type=Path, help=f"with what callers must know (default: ${TOKEN}); needed beyond this machine"
    )
    parser.add_argument("--most-waiting", type=int, default=1000, help="clips in the queue (default: 1000)")
    parser.add_argument("--most-megabytes", type=int, default=64, help="of a request with its images (default: 64)")
    add_options(parser)
    options = parser.parse_args(arguments)
    check(parser, options)
    for name in ("most_waiting", "most_megabytes"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: {getattr(options, name)} is too few: give 1 or more")
    if options.root is not None and not options.root.is_dir():
        parser.error(f"--root: {options.root} is no folder: name one with images")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        code = environment.enter(Path(__file__), "client", "batch", own="service")
        return run(options) if code is None else code
    except (SetupError, ServerError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("stopped; finished clips stay, and what waited goes on when it is started again")
        return 0


def run(options: argparse.Namespace) -> int:
    from tools.jobs.models import default_roots, models_of
    from tools.jobs.on_ray import Cluster
    from tools.jobs.results import Results
    from tools.jobs.service.app import Settings
    from tools.jobs.service.on_serve import served

    token = _token(options)
    models = models_of(options.checkpoint, options.base, default_roots(options.models), [Path.cwd()])
    if missing := models.missing():
        raise SetupError(missing)
    row = _checked(settings_of(options.set))
    limits = options.most_waiting, options.most_megabytes << 20
    root = options.root.absolute() if options.root else None
    settings = Settings(options.output.absolute(), root, token, *limits, row)
    cluster = Cluster(options.address, options.hosts_per_gpu, options.host, options.device == "cpu")
    with (
        Results(settings.output).claimed(),
        served(settings, models, cluster, options.listen, options.port) as places,
    ):
        say(f"{places} hosts are ready at http://{options.listen}:{options.port} (/docs describes it); Ctrl-C ends it")
        while True:
            time.sleep(3600)


def _token(options: argparse.Namespace) -> str | None:
    """What callers must know. Raises SetupError where there is none though other machines can call, or a short one."""
    token = os.environ.pop(TOKEN, None)  # ComfyUI and what else is started need not know it
    if options.token_file is not None:
        try:
            token = options.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise SetupError(f"--token-file: it cannot be read ({problem}): name a file with one line") from problem
    if token is None and options.listen not in THIS_MACHINE:
        raise SetupError(f"--listen: {options.listen} can be reached by others: give --token-file, or set ${TOKEN}")
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise SetupError(
            f"--token-file: the token has {len(token)} characters: take {SHORTEST_TOKEN} or more "
            "(python -c 'import secrets; print(secrets.token_urlsafe())')"
        )
    return token


def _checked(row: dict) -> dict:
    """The values of --set, which would else be wrong in every request."""
    from tools.jobs.job import read_row

    job = read_row({"prompt": "a lake", **row}, lambda name: f"{name}: give images with each request")
    wrong = [problem for problem in job if problem.partition(":")[0] in row] if isinstance(job, list) else []
    if wrong:
        raise SetupError(f"--set {'; '.join(wrong)}")
    return row


if __name__ == "__main__":
    sys.exit(main())
