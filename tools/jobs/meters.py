"""What a run on Ray tells Ray's metrics, which Prometheus reads from every node that has `ray[default]`."""

from __future__ import annotations

from typing import Any

from tools.jobs.making import Outcome, Tally

BOUNDARIES = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000]
"""Of a clip's seconds."""


class Meters:
    """metrics: the module `ray.util.metrics`. Ray puts `ray_` before the names, and `_total` behind a counter's."""

    def __init__(self, metrics: Any):
        self._made = metrics.Counter("seine_clips_made", "Clips made by this run.")
        self._failed = metrics.Counter("seine_clips_failed", "Jobs that this run could not make, by cause.", ("cause",))
        self._seconds = metrics.Histogram("seine_clip_seconds", "Seconds of a clip in its host.", BOUNDARIES)
        self._waiting = metrics.Gauge("seine_jobs_waiting", "Jobs of this run that are neither made nor failed.")
        self._hosts = metrics.Gauge("seine_hosts", "ComfyUIs of this run, those that are being started too.")

    def outcome(self, outcome: Outcome) -> None:
        if outcome.made:
            self._made.inc()
            self._seconds.observe(outcome.seconds)
        else:
            self._failed.inc(tags={"cause": outcome.cause})

    def state(self, hosts: int, tally: Tally) -> None:
        self._waiting.set(tally.waiting)
        self._hosts.set(hosts)
