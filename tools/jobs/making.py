"""What all engines share: counting what there is to do, making one job, and writing down how that went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tools.hosting.client import ExecutionFailed, Progress, RunError
from tools.hosting.environment import say
from tools.hosting.server import ServerError
from tools.jobs.found import Note, Problem
from tools.jobs.keys import Keyed
from tools.jobs.models import Models
from tools.jobs.results import FAILED, Results
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

    @property
    def waiting(self) -> int:
        return self.jobs - self.there - self.made - self.failed

    @property
    def rate(self) -> str:
        return f"{self.made / self.seconds * 3600:.0f} clips/h" if self.seconds else ""

    def __str__(self) -> str:
        parts = [f"{self.made} made", f"{self.there} already there", f"{self.failed} failed"]
        if self.rows:
            parts.append(f"{self.rows} rows could not be read")
        return f"{self.jobs} jobs: {', '.join(parts)}; {self.seconds:.0f} s{f'; {self.rate}' if self.made else ''}"


@dataclass(frozen=True)
class Outcome:
    """How a job went. cause of an error: the job itself, its host, or a file."""

    made: bool
    seconds: float = 0.0
    attempts: int = 1
    error: str = ""
    cause: str = ""


def look(jobs: Jobs, results: Results, tell: Callable[[Any], int]) -> Tally:
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


def to_make(jobs: Jobs, results: Results, tally: Tally) -> Iterator[Keyed]:
    """The jobs that are not done, looked at when their turn has come: the same row once more is there by then."""
    there = -tally.there
    for item in jobs():
        if isinstance(item, Keyed):
            if results.done(item):
                there += 1
            else:
                yield item
    tally.there += there


def make_one(
    item: Keyed,
    warm: WarmHost,
    results: Results,
    models: Models,
    versions: dict[str, Any],
    on_progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Make a job and keep its result. A node's error is final; where the host ended it is tried again in a new one."""
    error = ""
    for attempt in range(1, MOST_ATTEMPTS + 1):
        try:
            made = warm.make(item, on_progress)
            facts = {**item.described(models), "seconds": round(made.seconds, 3), "attempts": attempt}
            results.keep(item, made.file, {**facts, "versions": versions, "graph": made.graph})
            made.file.unlink(missing_ok=True)
            return Outcome(True, facts["seconds"], attempt)
        except RunError as problem:
            return Outcome(False, attempts=attempt, error=_words(problem), cause="job")
        except ServerError as problem:
            error = str(problem)
            warm.restart()
        except OSError as problem:
            return Outcome(False, attempts=attempt, error=str(problem), cause="file")
    return Outcome(False, attempts=MOST_ATTEMPTS, error=error, cause="host")


def write_down(item: Keyed, outcome: Outcome, results: Results, tally: Tally) -> None:
    """An outcome in the record, in the list of failures, and in the tally."""
    named = {"id": item.id, "key": item.key, "file": item.file}
    if outcome.made:
        tally.made += 1
        results.event("made", **named, seconds=outcome.seconds, attempts=outcome.attempts)
        return
    tally.failed += 1
    first = outcome.error.strip().partition("\n")[0]
    results.failed(item.id, outcome.error, **named, cause=outcome.cause)
    results.event("failed", **named, error=first, attempts=outcome.attempts)
    say(f"{item.id} was not made: {first} (more in {FAILED})")


def _words(problem: RunError) -> str:
    """A node's own words, without where in the code it said them."""
    if isinstance(problem, ExecutionFailed):
        return f"{problem.node_type}: {problem.exception_message.strip()}"
    return str(problem)
