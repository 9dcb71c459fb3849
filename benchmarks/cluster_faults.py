"""What dies during a batch on two Ray nodes, and what comes of it; the part `faults` of `cluster.py`."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.cluster_jobs import Batch, make_pictures, mixed, wait_for
from benchmarks.ray_nodes import Nodes, descendants, processes

HEADER = "| Killed | clips made by then | next clip after | next host after | |\n|---|---|---|---|---|"


class Faults:
    """A batch on a cluster, and the rows of what happened to it."""

    def __init__(self, batch: Batch, nodes: Nodes):
        self.batch, self.nodes = batch, nodes
        self._kills: list[tuple[str, int, float, str]] = []
        self.second = nodes.add()
        self.run = self._start()

    def _start(self) -> subprocess.Popen:
        return self.batch.start(self.nodes.environment)

    def made(self) -> int:
        return len(self.batch.events("made"))

    def host(self) -> dict[str, Any]:
        """A host that works: its actor and its ComfyUI are there."""
        running = processes()
        hosts = [host for host in self.batch.events("host") if host["process"] in running and host["actor"] in running]
        return hosts[-1]

    def kill(self, what: str, after: int, how: Callable[[], str]) -> None:
        """Kill something when so many clips are made, and wait for two more."""
        wait_for(f"clip {after}", lambda: self.made() >= after, self.run)
        before, began = self.made(), time.time()
        noted = how()
        wait_for(f"a clip after {what}", lambda: self.made() > before + 1, self.run)
        self._kills.append((what, before, began, noted))

    def table(self) -> str:
        """In markdown: what was killed, how long it took to go on, and what was seen of it."""
        lines = [HEADER]
        for what, before, began, noted in self._kills:
            after = [self._first(name, began) for name in ("made", "host")]
            lines.append(f"| {what} | {before} | {' | '.join(after)} | {noted} |")
        return "\n".join(lines)

    def _first(self, name: str, since: float) -> str:
        return next(
            (f"{event['time'] - since:.0f} s" for event in self.batch.events(name) if event["time"] > since), "–"
        )

    def an_actor(self) -> str:
        host = self.host()
        os.kill(host["actor"], signal.SIGKILL)
        return f"its ComfyUI is gone after {self._gone(host['process'])}; its job goes to the other host"

    def a_comfyui(self) -> str:
        os.kill(self.host()["process"], signal.SIGKILL)
        return "its actor starts another and tries the job again"

    def the_command(self) -> str:
        hosts = self.batch.events("host")
        files = {path: path.stat().st_ino for path in self.batch.out.glob("*.json")}
        self.run.kill()
        self.run.wait()
        seconds = [self._gone(host[name]) for host in hosts for name in ("actor", "process")]
        self.run = self._start()
        wait_for("the second run", lambda: len(self.batch.events("host")) > len(hosts), self.run)
        touched = sum(path.stat().st_ino != inode for path, inode in files.items())
        return (
            f"all hosts are gone after {max(seconds)}; run again, {len(files)} are there, {touched} of them made again"
        )

    def a_node(self) -> str:
        hosts = self.batch.events("host")
        here = [host for host in hosts if host["actor"] in descendants(self.second.pid)]
        self.nodes.kill(self.second)
        seconds = [self._gone(host[name]) for host in here for name in ("actor", "process")]
        self.second = self.nodes.add()
        return f"its actor and ComfyUI are gone after {max(seconds)}; a node is added"

    def _gone(self, process: int) -> str:
        began = time.monotonic()
        wait_for(f"the end of {process}", lambda: process not in processes())
        return f"{time.monotonic() - began:.1f} s"


def faults(folder: Path, host: str, count: int) -> tuple[str, list[str]]:
    """The table in markdown, and what is wrong."""
    make_pictures(folder)
    reference = Batch(folder, "alone", mixed(count), host)
    if reference.start().wait():
        raise RuntimeError(f"what: the batch in one host failed, read what it says:\n{reference.log()}")
    print(reference.log().splitlines()[-2], flush=True)
    with ExitStack() as held:
        nodes = held.enter_context(Nodes())
        batch = Batch(folder, "cluster", mixed(count), host, "--engine", "ray", "--address", nodes.address)
        batch_faults = Faults(batch, nodes)
        held.callback(lambda: batch_faults.run.kill())
        steps = ("an actor", "a node", "a ComfyUI", "the command")
        hows = (batch_faults.an_actor, batch_faults.a_node, batch_faults.a_comfyui, batch_faults.the_command)
        for number, (what, how) in enumerate(zip(steps, hows, strict=True), 1):
            batch_faults.kill(what, count * number // (len(steps) + 1) - 2, how)
        code = batch_faults.run.wait()
        wrong = [f"exit status {code}"] if code else []
        ours = [
            line for line in nodes.running().values() if "--base-directory" in line or line.startswith("ray::Worker")
        ]
        wrong += [f"left over: {line}" for line in ours]
        hosts, table = batch.events("host"), batch_faults.table()
    wrong += [
        f"left over: process {facts[name]}"
        for facts in hosts
        for name in ("actor", "process")
        if facts[name] in processes()
    ]
    problems, found = compare(batch, reference.out, count)
    wrong += problems
    text = "\n".join([table, "", f"Afterwards: {'; '.join(wrong) or found}."])
    return text, wrong


def compare(batch: Batch, reference: Path, count: int) -> tuple[list[str], str]:
    """What is wrong with the finished clips, and else what they are.

    Each is to be there once, whole, and the one that one host alone makes. Encoders with several threads do not always
    write the same bytes, so that what differs is looked at: it has to be closer to that clip than to any other.
    """
    wrong = [f"left over: {path.name}" for path in batch.out.rglob("*.part")]
    files = sorted(path.name.removesuffix(".json") for path in batch.out.glob("*.json"))
    if len(files) != count:
        wrong.append(f"{len(files)} clips of {count}")
    contents = {name: (batch.out / name).read_bytes() for name in files}
    if len(set(contents.values())) != len(files):
        wrong.append(f"{len(set(contents.values()))} different clips among {len(files)}")
    made = [event["id"] for event in batch.events("made")]
    if len(made) != len(set(made)):
        wrong.append(f"{len(made) - len(set(made))} jobs made twice")
    others = {path.name: frames_of(path) for path in reference.iterdir() if path.suffix in (".mp4", ".webm")}
    same, largest = 0, 0.0
    for name, content in contents.items():
        facts = json.loads((batch.out / f"{name}.json").read_text(encoding="utf-8"))
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            wrong.append(f"{name} is not what its sidecar says")
        if content == (reference / name).read_bytes():
            same += 1
        elif name not in others:
            wrong.append(f"{name} is not as one host makes it")
        else:
            away = distances(frames_of(batch.out / name), others)
            largest = max(largest, away[name])
            if min(away, key=away.get) != name:
                wrong.append(f"{name} is more like {min(away, key=away.get)}")
    found = (
        f"{count} of {count} clips are there, each made once; no half-written file and no process is left. {same} are "
        "byte for byte what one host without Ray makes. The others are the same clips, but for a random number in WebM "
        f"files, and for pictures that differ in MP4 files by {largest:.2f} of 255 at most, on average"
    )
    return wrong, found


def frames_of(path: Path) -> Any:
    """uint8 ``[frames, h, w, 3]``."""
    import av
    import numpy as np

    with av.open(str(path)) as video:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])


def distances(frames: Any, others: dict[str, Any]) -> dict[str, float]:
    """Mean absolute difference to each clip of the same shape, by name."""
    found = {}
    for name, other in others.items():
        if other.shape == frames.shape:
            found[name] = float(abs(frames.astype(int) - other).mean())
    return found
