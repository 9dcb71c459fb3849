"""Clips that are asked for: they wait in a queue that ends, are made, and are found again after a restart."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from tools.hosting.environment import say
from tools.jobs.job import read_row
from tools.jobs.keys import Keyed, keyed
from tools.jobs.making import MOST_ATTEMPTS, Outcome, Tally, write_down
from tools.jobs.models import Models
from tools.jobs.pictures import find_image
from tools.jobs.results import Results
from tools.jobs.service.clip import FAILED, MADE, MAKING, STATES, WAITING, Clip, Full, Make, MakerGone, Taken
from tools.jobs.service.images import Images
from tools.jobs.service.waiting import Finished, WaitingRows, finished, read_sidecar

MOST_FAILED = 1000
"""Of those that are remembered: what failed can be asked for again, and has a line in failed.jsonl."""
END_SECONDS = 1
"""For makers to be told that the service ends."""
GUESSED_SECONDS = 10
"""A clip takes, as long as none has been made."""


class Clips:
    """All clips by key. Lives in one event loop; what it must not lose is in the folder of results.

    make: see `Make`; places: how many are made at a time; most_waiting: how many more there may be.
    """

    def __init__(
        self,
        results: Results,
        models: Models,
        images: Images,
        rows: WaitingRows,
        make: Make,
        places: int,
        most_waiting: int,
    ):
        self._results, self._models, self._images, self._rows = results, models, images, rows
        self._make, self._places, self._most_waiting = make, places, most_waiting
        self._clips: dict[str, Clip] = {}
        self._files: dict[str, str] = {}
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._calls: dict[str, asyncio.Task[Outcome]] = {}
        """By file: what is asked for with the file of a deleted clip waits until the making of that one has ended."""
        self._more = asyncio.Event()
        self._tally = Tally()
        self._lasted: deque[float] = deque(maxlen=16)
        self._failed: deque[str] = deque()
        self._places_at_work: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Find again what is there and what waits, and begin."""
        for found in await asyncio.to_thread(finished, self._results):
            self._found(found)
        for asked, key, row in self._rows.rows(self._lost):
            self._again(asked, key, row)
        self._images.tidy()
        self._places_at_work = [asyncio.create_task(self._work()) for _ in range(self._places)]

    async def stop(self) -> None:
        """End; what waits or is being made is found again."""
        tasks = [*self._places_at_work, *self._calls.values()]
        for task in tasks:
            task.cancel()
        with suppress(asyncio.TimeoutError):  # makers have been told; being late, they are cancelled once more
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), END_SECONDS)

    def check(self) -> None:
        """Raises what has ended a place; so that this is begun anew."""
        for task in self._places_at_work:
            if task.done():
                task.result()

    def ask(self, item: Keyed, row: dict[str, Any], images: list[Path]) -> tuple[Clip, bool]:
        """The clip of a job, and whether it has been accepted just now. The same job is the same clip.

        images: of those that were sent, held for it; the clip takes them where it is new. Raises Full, Taken, or
        OSError where it cannot be written down.
        """
        known = self._clips.get(item.key)
        if known is not None and known.state in (WAITING, MAKING):
            return known, False
        if not self._is_at(item.file) and self._results.done(item):
            return self._there(item), False
        other = self._clips.get(self._files.get(item.file.casefold(), ""))
        if other is not None and other.key != item.key and other.state != FAILED:
            raise Taken(f"id: {item.job.id!r:.60} is that of clip {other.key} too; give another, or delete that clip")
        if len(self._waiting) >= self._most_waiting:
            raise Full(self._most_waiting, self._seconds_until_room())
        asked = time.time()
        self._rows.add(item.key, row, asked)
        return self._accept(item, asked, images), True

    def get(self, key: str) -> Clip | None:
        return self._clips.get(key)

    def newest_first(self, state: str | None = None, after: str | None = None) -> Iterator[Clip]:
        """All, or those in a state; after: the key of the last one that has been seen."""
        seen = after is None or after not in self._clips
        for clip in reversed(self._clips.values()):
            if seen and state in (None, clip.state):
                yield clip
            seen = seen or clip.key == after

    def positions(self) -> dict[str, int]:
        """How many go before each that waits."""
        return {key: position for position, key in enumerate(self._waiting)}

    def counts(self) -> dict[str, int]:
        counted = Counter(clip.state for clip in self._clips.values())
        return {state: counted[state] for state in STATES}

    def facts(self, clip: Clip) -> dict[str, Any]:
        """Its final inputs; those of a finished one with what it took. Images by their names: where they are on this
        machine is nobody's business."""
        facts: dict[str, Any] = {}
        if clip.item is not None:
            facts = clip.item.described(self._models)
        else:
            with suppress(OSError, ValueError):
                facts = json.loads((self._results.folder / f"{clip.file}.json").read_text(encoding="utf-8"))
        shown = {name: value for name, value in facts.items() if name != "graph"}
        if "images" in shown:
            shown["images"] = [PurePath(image.replace("\\", "/")).name for image in shown["images"]]
        return shown

    def delete(self, key: str) -> bool:
        """Take a clip away, whether it waits, is being made, or is there; False where there is none."""
        clip = self._clips.get(key)
        if clip is None:
            return False
        if clip.state == MAKING:
            self._calls[clip.file.casefold()].cancel()
        if clip.state == MADE:
            self._results.remove(clip.file)
        self._ended(clip)
        self._forget(clip)
        self._note(lambda: self._results.event("deleted", id=clip.name, key=key, state=clip.state))
        return True

    def _accept(self, item: Keyed, asked: float, images: list[Path]) -> Clip:
        if known := self._clips.get(item.key):
            self._forget(known)
        clip = Clip(item.key, item.id, item.file, item.job.kind, item.job.prompt, WAITING, asked, item=item)
        clip.images = images
        self._clips[clip.key] = clip
        self._files[clip.file.casefold()] = clip.key
        self._waiting[clip.key] = None
        self._more.set()
        return clip

    def _found(self, found: Finished) -> Clip:
        facts = found.kind, found.prompt, MADE, found.time, found.seconds
        clip = self._clips[found.key] = Clip(found.key, found.name, found.file, *facts)
        self._files[found.file.casefold()] = found.key
        return clip

    def _there(self, item: Keyed) -> Clip:
        """The clip of a job that is done, perhaps by one who did not live to say so."""
        known = self._clips.get(item.key)
        if known is None or known.state != MADE:
            known = self._found(read_sidecar(self._results.sidecar(item), self._results.folder))
        return known

    def _again(self, asked: float, key: str, row: dict[str, Any]) -> None:
        """A row that was accepted before the service was started. With another checkpoint it is another clip."""
        job = read_row(row, lambda name: find_image(name, [Path("/")]))
        try:
            item = job if isinstance(job, list) else keyed(job, self._models)
        except OSError as problem:
            item = [str(problem)]
        if isinstance(item, list):
            self._note(lambda: self._results.failed(key, "; ".join(item), key=key, cause="job"))
        elif self._results.done(item):
            clip = self._there(item)
            facts = {"id": clip.name, "key": clip.key, "file": clip.file, "seconds": clip.seconds}
            self._note(lambda: self._results.event("made", **facts))
        else:
            self._accept(item, asked, self._images.hold(item.job.images))
            if item.key == key or not self._note(lambda: self._rows.add(item.key, row, asked)):
                return
        self._rows.remove(key)

    def _lost(self, key: str, why: str) -> None:
        """A row that was accepted cannot be read any more."""
        self._note(lambda: self._results.failed(key, why, key=key, cause="file"))
        self._note(lambda: self._results.event("failed", key=key, error=why))

    def _note(self, write: Callable[[], Any]) -> bool:
        """Write down what has happened; whether it could be. A full disk ends neither the queue nor its start."""
        try:
            write()
        except OSError as problem:
            say(f"{self._results.folder}: it cannot be written to ({problem}): free space on its disk")
            return False
        return True

    async def _work(self) -> None:
        """Make what waits, one after the other."""
        while True:
            while (clip := self._next()) is None:
                self._more.clear()
                await self._more.wait()
            del self._waiting[clip.key]
            clip.state = MAKING
            call = self._calls[clip.file.casefold()] = asyncio.create_task(self._attempts(clip.item))
            await asyncio.wait([call])
            if self._clips.get(clip.key) is clip:
                self._write_down(clip, _outcome(call))
            else:  # deleted meanwhile: what it may have made until it ended is removed before anyone makes it anew
                self._note(lambda clip=clip: self._results.remove(clip.file))
            del self._calls[clip.file.casefold()]
            self._more.set()

    def _next(self) -> Clip | None:
        """The first that waits for nothing but a place."""
        clips = (self._clips[key] for key in self._waiting)
        return next((clip for clip in clips if not self._is_at(clip.file)), None)

    def _is_at(self, file: str) -> bool:
        """Whether somebody may be writing to a file."""
        return file.casefold() in self._calls

    async def _attempts(self, item: Keyed) -> Outcome:
        """Make a job, again where whoever was at it has died."""
        error = ""
        for _ in range(MOST_ATTEMPTS):
            self._results.event("started", id=item.id, key=item.key)
            try:
                return await self._make(item)
            except MakerGone as problem:
                error = str(problem)
        return Outcome(False, attempts=MOST_ATTEMPTS, error=error, cause="host")

    def _write_down(self, clip: Clip, outcome: Outcome) -> None:
        clip.state, clip.seconds = (MADE, outcome.seconds) if outcome.made else (FAILED, None)
        error = outcome.error.replace(str(self._results.folder), "the folder of clips")
        clip.error = None if outcome.made else error.strip().partition("\n")[0]
        self._note(lambda: write_down(clip.item, outcome, self._results, self._tally))
        if outcome.made:
            self._lasted.append(outcome.seconds)
        else:
            self._failed.append(clip.key)
            while len(self._failed) > MOST_FAILED:
                old = self._clips.get(self._failed.popleft())
                if old is not None and old.state == FAILED:
                    self._forget(old)
        self._ended(clip)

    def _ended(self, clip: Clip) -> None:
        """It neither waits nor is made any more."""
        self._waiting.pop(clip.key, None)
        self._rows.remove(clip.key)
        self._images.release(clip.images)
        clip.images = []

    def _forget(self, clip: Clip) -> None:
        del self._clips[clip.key]
        if self._files.get(clip.file.casefold()) == clip.key:
            del self._files[clip.file.casefold()]

    def _seconds_until_room(self) -> int:
        mean = sum(self._lasted) / len(self._lasted) if self._lasted else GUESSED_SECONDS
        return max(1, math.ceil(mean / self._places))


def _outcome(call: asyncio.Task[Outcome]) -> Outcome:
    """A full disk fails the clips of that moment, and not the queue."""
    try:
        return call.result()
    except OSError as problem:
        return Outcome(False, error=str(problem), cause="file")
