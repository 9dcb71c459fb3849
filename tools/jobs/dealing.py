"""Jobs dealt to hosts on Ray: each host is given its next job when it has made one.

What a host drops when it dies goes to the next host that is free, so that no job waits for a machine that may never
come back. A host whose actor died is used again once Ray has started it anew, wherever there is room for it.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tools.hosting.bars import bar
from tools.hosting.server import ServerError
from tools.jobs.keys import Keyed
from tools.jobs.making import MOST_ATTEMPTS, Outcome, Tally, write_down
from tools.jobs.meters import Meters
from tools.jobs.results import Results

START_SECONDS = 600
"""Within which one host has to start where none runs."""
LOOK_SECONDS = 10
"""Between looks for machines that have joined."""
END_SECONDS = 30


@dataclass(eq=False)
class Place:
    """Room for one host. start: makes its actor; failures: of its starts, one after the other."""

    start: Callable[[], Any]
    actor: Any
    failures: int = 0


class Dealer:
    """Deals jobs to hosts.

    room: for each host that there is room for, and that it has not named before, what makes its actor, which has the
    methods of `on_ray.Worker`; asked again and again, as machines join.
    """

    def __init__(
        self, ray: Any, room: Callable[[], list[Callable[[], Any]]], results: Results, tally: Tally, meters: Meters
    ):
        self._ray, self._room, self._results, self._tally, self._meters = ray, room, results, tally, meters
        self._places: list[Place] = []
        self._free: deque[Place] = deque()
        self._making: dict[Any, tuple[Place, Keyed]] = {}
        self._starting: dict[Any, Place] = {}
        self._next: deque[Keyed] = deque()
        self._drops: Counter[str] = Counter()
        self._known: set[int] = set()
        self._began: float | None = None
        self._last_error = ""
        self._at_work = time.monotonic()
        self._look()

    def deal(self, jobs: Iterable[Keyed]) -> None:
        """Have all jobs made; they are read as they are needed. Raises ServerError where no host is left."""
        upcoming = iter(jobs)
        with bar("clips", self._tally.jobs, self._tally.there, unit="clip") as progress:
            while self._more(upcoming) or self._making:
                while self._free and self._more(upcoming):
                    self._give(self._free.popleft(), self._next.popleft())
                made = self._tally.made
                self._take()
                progress.set_postfix_str(self._tally.rate, refresh=False)
                progress.update(self._tally.made - made)

    def end(self) -> None:
        """End all hosts, those first that can tidy up."""
        closing = [place.actor.close.remote() for place in self._free]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=END_SECONDS)
        for place in self._places:
            self._ray.kill(place.actor)

    def _more(self, upcoming: Iterator[Keyed]) -> bool:
        """Whether there is a job to give; it is then the first of `_next`."""
        while not self._next:
            item = next(upcoming, None)
            if item is None:
                return False
            if any(item.file == other.file for _, other in self._making.values()):  # the same row twice
                self._tally.there += 1
                continue
            self._next.append(item)
        return True

    def _give(self, place: Place, item: Keyed) -> None:
        self._began = self._began or time.monotonic()
        self._results.event("started", id=item.id, key=item.key)
        # The dealer repeats it itself: Ray would keep it for this very actor, however long that is away.
        self._making[place.actor.make.options(max_task_retries=0).remote(item)] = place, item

    def _take(self) -> None:
        """Wait for one host to have made its job, to have dropped it, or to have started."""
        if time.monotonic() > self._looked + LOOK_SECONDS:
            self._look()
        waiting = [*self._making, *self._starting]
        if not waiting:
            raise ServerError(f"no host on Ray is left: {self._last_error}")
        if self._making:
            self._at_work = time.monotonic()
        elif time.monotonic() > self._at_work + START_SECONDS:
            raise ServerError(
                f"no host on Ray has started in {START_SECONDS} s: `ray status` says whether there is room for one"
            )
        done, _ = self._ray.wait(waiting, num_returns=1, timeout=LOOK_SECONDS)
        for answer in done:
            if answer in self._starting:
                self._has_started(answer, self._starting.pop(answer))
            else:
                self._has_made(answer, *self._making.pop(answer))
        self._meters.state(len(self._places), self._tally)

    def _look(self) -> None:
        """Start a host wherever there is room for one more."""
        self._looked = time.monotonic()
        for start in self._room():
            self._places.append(Place(start, start()))
            self._await(self._places[-1])

    def _await(self, place: Place) -> None:
        """Have a host that starts, for the first time or again, say so."""
        self._starting[place.actor.facts.options(max_task_retries=-1).remote()] = place

    def _has_started(self, answer: Any, place: Place) -> None:
        try:
            self._know(self._ray.get(answer))
        except self._ray.exceptions.RayError as problem:
            self._has_failed_to_start(place, problem)
            return
        place.failures = 0
        self._free.append(place)

    def _has_failed_to_start(self, place: Place, problem: Exception) -> None:
        """Try again with a new actor, as Ray does not repeat a start that said what is wrong."""
        place.failures += 1
        self._last_error = last_line(problem)
        self._results.event("no host", error=self._last_error, attempts=place.failures)
        self._ray.kill(place.actor)
        if place.failures == MOST_ATTEMPTS:
            self._places.remove(place)
            return
        place.actor = place.start()
        self._await(place)

    def _has_made(self, answer: Any, place: Place, item: Keyed) -> None:
        try:
            outcome, facts = self._ray.get(answer)
        except self._ray.exceptions.RayError as problem:
            self._has_dropped(place, item, problem)
            return
        self._know(facts)
        self._free.append(place)
        self._finish(item, outcome)

    def _has_dropped(self, place: Place, item: Keyed, problem: Exception) -> None:
        self._drops[item.file] += 1
        error = last_line(problem)
        self._results.event("dropped", id=item.id, key=item.key, error=error, attempts=self._drops[item.file])
        if self._drops[item.file] == MOST_ATTEMPTS:
            self._finish(item, Outcome(False, attempts=MOST_ATTEMPTS, error=error, cause="host"))
        else:
            self._next.appendleft(item)
        if not isinstance(problem, self._ray.exceptions.RayActorError):  # it is there, but its ComfyUI does not start
            self._ray.kill(place.actor, no_restart=False)
        self._await(place)

    def _know(self, facts: dict[str, Any]) -> None:
        """Write down a host that was not seen before: a new one, or one started again."""
        if facts["process"] not in self._known:
            self._known.add(facts["process"])
            self._results.event("host", **facts)

    def _finish(self, item: Keyed, outcome: Outcome) -> None:
        self._drops.pop(item.file, None)
        write_down(item, outcome, self._results, self._tally)
        self._tally.seconds = time.monotonic() - (self._began or time.monotonic())
        self._meters.outcome(outcome)


def last_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return lines[-1]
