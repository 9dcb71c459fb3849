"""All jobs of a source in one warm ComfyUI on this machine; what is finished is skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

from tools.hosting.bars import bar
from tools.hosting.client import Progress
from tools.hosting.environment import SetupError, say
from tools.hosting.hosts import Host
from tools.hosting.server import sees_gpu
from tools.jobs.making import Jobs, Tally, look, make_one, to_make, write_down
from tools.jobs.models import Models
from tools.jobs.results import WINDOWS, Results
from tools.jobs.warm_host import WarmHost
from tools.jobs.working_folder import working_folder


def make_all(
    jobs: Jobs, results: Results, models: Models, find_host: Callable[[], Host], cpu: bool, tell: Callable[[Any], int]
) -> Tally:
    """Make what is not there. jobs: called twice, to look at every row before any is made, and to make them.

    Raises SetupError where there is no host, no checkpoint, or another run writes to the same folder.
    """
    with results.claimed():
        tally = look(jobs, results, tell)
        if tally.there < tally.jobs:
            if missing := models.missing():
                raise SetupError(missing)
            _make(jobs, results, models, find_host(), cpu, tally)
        results.event("finished", **vars(tally))
        if tally.complete:
            shutil.rmtree(results.folder / WINDOWS, ignore_errors=True)
    return tally


def _make(jobs: Jobs, results: Results, models: Models, host: Host, cpu: bool, tally: Tally) -> None:
    python = host.prepare()
    say(f"ComfyUI: {host.describe()}")
    cpu = cpu or not sees_gpu(host, python)
    with working_folder() as folder:
        say("starting the server")
        with WarmHost(host, folder / "base", models, cpu, results.folder / WINDOWS) as warm:
            versions = warm.versions()
            results.event("host", process=warm.process_id, **versions)
            started = time.monotonic()
            with bar("clips", tally.jobs, tally.there, unit="clip") as progress:
                for item in to_make(jobs, results, tally):
                    results.event("started", id=item.id, key=item.key)
                    outcome = make_one(item, warm, results, models, versions, _shown_on(progress, tally))
                    write_down(item, outcome, results, tally)
                    tally.seconds = time.monotonic() - started
                    progress.set_postfix_str(tally.rate, refresh=False)
                    progress.update(outcome.made)


def _shown_on(progress: Any, tally: Tally) -> Callable[[Progress], None]:
    """Shows the steps within a clip behind the bar."""

    def show(event: Progress) -> None:
        if event.maximum:
            progress.set_postfix_str(f"{tally.rate} {event.node_type} {event.value}/{event.maximum}", refresh=False)
            progress.update(0)

    return show
