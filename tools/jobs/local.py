"""All jobs of a source in one warm ComfyUI on this machine; what is finished is skipped."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.hosting.bars import bar
from tools.hosting.client import ExecutionFailed, Progress, RunError
from tools.hosting.environment import SetupError, say
from tools.hosting.hosts import Host
from tools.hosting.server import ServerError, sees_gpu
from tools.jobs.found import Note, Problem
from tools.jobs.keys import Keyed
from tools.jobs.models import Models
from tools.jobs.results import FAILED, WINDOWS, Results
from tools.jobs.warm_host import WarmHost

MOST_ATTEMPTS = 3
"""A job that ends its host so often is set aside."""
Jobs = Callable[[], Iterable[Keyed | Problem | Note]]


@dataclass
class Tally:
    """How a run went, in jobs; `rows`: those that could not be read."""

    jobs: int = 0
    rows: int = 0
    there: int = 0
    made: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return not self.rows and not self.failed and self.there + self.made == self.jobs

    def __str__(self) -> str:
        parts = [f"{self.made} made", f"{self.there} already there", f"{self.failed} failed"]
        if self.rows:
            parts.append(f"{self.rows} rows could not be read")
        rate = f"; {self.made / self.seconds * 3600:.0f} clips an hour" if self.made else ""
        return f"{self.jobs} jobs: {', '.join(parts)}; {self.seconds:.0f} s{rate}"


def make_all(
    jobs: Jobs, results: Results, models: Models, find_host: Callable[[], Host], cpu: bool, tell: Callable[[Any], int]
) -> Tally:
    """Make what is not there. jobs: called twice, to look at every row before any is made, and to make them.

    Raises SetupError where there is no host, no checkpoint, or another run writes to the same folder.
    """
    with results.claimed():
        tally = _look(jobs, results, tell)
        if tally.there < tally.jobs:
            if missing := models.missing():
                raise SetupError(missing)
            _make(jobs, results, models, find_host(), cpu, tally)
        results.event("finished", **{name: value for name, value in vars(tally).items()})
        if tally.complete:
            shutil.rmtree(results.folder / WINDOWS, ignore_errors=True)
    return tally


def _look(jobs: Jobs, results: Results, tell: Callable[[Any], int]) -> Tally:
    """Count, and say everything that is wrong before hours are spent."""
    tally = Tally()
    for item in jobs():
        if isinstance(item, Keyed):
            tally.jobs += 1
            tally.there += results.done(item)
            continue
        tell(item)
        if isinstance(item, Problem):
            tally.rows += item.begins
            results.failed(item.where, item.what)
    return tally


def _make(jobs: Jobs, results: Results, models: Models, host: Host, cpu: bool, tally: Tally) -> None:
    python = host.prepare()
    say(f"ComfyUI: {host.describe()}")
    cpu = cpu or not sees_gpu(host, python)
    with tempfile.TemporaryDirectory(prefix="seine-batch-") as folder:
        say("starting the server")
        with WarmHost(host, Path(folder) / "base", models, cpu, results.folder / WINDOWS) as warm:
            versions = warm.versions()
            results.event("host", process=warm.process_id, **versions)
            started = time.monotonic()
            with bar("clips", tally.jobs, tally.there, unit="clip") as progress:
                for item in jobs():
                    if not isinstance(item, Keyed) or results.done(item):
                        continue
                    made = _one(item, warm, results, models, versions, shown_on(progress))
                    tally.made, tally.failed = tally.made + made, tally.failed + (not made)
                    tally.seconds = time.monotonic() - started
                    progress.set_postfix_str(f"{tally.made / tally.seconds * 3600:.0f} clips/h", refresh=False)
                    progress.update(made)


def _one(
    item: Keyed,
    warm: WarmHost,
    results: Results,
    models: Models,
    versions: dict[str, Any],
    on_progress: Callable[[Progress], None],
) -> bool:
    """Whether it was made. A node's error is final; where the host ended the job is tried again in a new one."""
    results.event("started", id=item.id, key=item.key)
    error, cause = "", ""
    for attempt in range(1, MOST_ATTEMPTS + 1):
        try:
            made = warm.make(item, on_progress)
            facts = {**item.described(models), "seconds": round(made.seconds, 3), "attempts": attempt}
            results.keep(item, made.file, {**facts, "versions": versions, "graph": made.graph})
            made.file.unlink(missing_ok=True)
            results.event("made", id=item.id, key=item.key, file=item.file, seconds=facts["seconds"])
            return True
        except RunError as problem:
            error, cause = _words(problem), "job"
            break
        except ServerError as problem:
            error, cause = str(problem), "host"
            results.event("host ended", id=item.id, key=item.key, attempt=attempt)
            warm.restart()
        except OSError as problem:
            error, cause = str(problem), "file"
            break
    results.failed(item.id, error, id=item.id, key=item.key, file=item.file, cause=cause)
    results.event("failed", id=item.id, key=item.key, error=error.splitlines()[0])
    say(f"{item.id} was not made: {error.splitlines()[0]} (more in {FAILED})")
    return False


def _words(problem: RunError) -> str:
    """A node's own words, without where in the code it said them."""
    if isinstance(problem, ExecutionFailed):
        return f"{problem.node_type}: {problem.exception_message.strip()}"
    return str(problem)


def shown_on(progress: Any) -> Callable[[Progress], None]:
    """Shows the steps within a clip behind the bar."""

    def show(event: Progress) -> None:
        if event.maximum:
            rate = (progress.postfix or "").partition(",")[0]
            progress.set_postfix_str(f"{rate}, {event.node_type} {event.value}/{event.maximum}", refresh=False)

    return show
