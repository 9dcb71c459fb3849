"""Clips of one host, of one on Ray and of two on Ray; the part `speed` of `cluster.py`."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from benchmarks.cluster_jobs import Batch, alike, make_pictures

ENGINES = (
    ("one ComfyUI, without Ray", 1, ("--engine", "local")),
    ("one ComfyUI on Ray", 1, ("--engine", "ray")),
    ("two ComfyUIs on Ray", 2, ("--engine", "ray", "--hosts-per-gpu", "2")),
)
COLUMNS = (
    "",
    "whole command",
    "clips per minute, once all hosts run",
    "a clip in ComfyUI",
    "beyond it",
    "different files",
)


def speed(folder: Path, host: str, count: int, rounds: int) -> tuple[str, list[str]]:
    """The table in markdown, and what is wrong. Engines take turns, so that a machine that gets slower is fair."""
    make_pictures(folder)
    measured: dict[str, list[tuple[float, ...]]] = {name: [] for name, _, _ in ENGINES}
    distinct: dict[str, int] = {}
    wrong = []
    for number in range(rounds):
        for name, hosts, engine in ENGINES:
            batch = Batch(folder, f"speed-{number}-{hosts}-{engine[1]}", alike(count), host, *engine)
            began = time.monotonic()
            if batch.start().wait():
                raise RuntimeError(f"what: a batch failed, read what it says:\n{batch.log()}")
            whole = time.monotonic() - began
            measured[name].append((whole, *rates(batch, hosts)))
            contents = {path.read_bytes() for path in batch.out.glob("*.mp4")}
            distinct[name] = min(len(contents), distinct.get(name, count))
            wrong += [f"{name}: {len(contents)} distinct files of {count}"] if len(contents) != count else []
            print(name, measured[name][-1], flush=True)
    rows = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for name, runs in measured.items():
        whole, rate, within, beyond = (median(values) for values in zip(*runs, strict=True))
        cells = [name, f"{whole:.0f} s", f"{rate:.1f}", f"{within:.2f} s", f"{1000 * beyond:.0f} ms"]
        rows.append(f"| {' | '.join([*cells, f'{distinct[name]} of {count}'])} |")
    return "\n".join(rows), wrong


def rates(batch: Batch, hosts: int) -> tuple[float, float, float]:
    """Clips a minute from when each host has made one, which loads the model; a clip's seconds in its host, and more."""
    started = {event["key"]: event["time"] for event in batch.events("started")}
    made = batch.events("made")
    beyond = median(event["time"] - started[event["key"]] - event["seconds"] for event in made)
    within = median(event["seconds"] for event in made)
    begin = max(event["time"] for event in batch.events("host"))
    steady = [event["time"] for event in made if event["time"] > begin][hosts - 1 :]
    return 60 * (len(steady) - 1) / (steady[-1] - steady[0]), within, beyond
