"""The jobs of `cluster.py`, as small as clips of the small model go, and the command that makes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.hosting.environment import STARTED
from tools.hosting.model_files import SMALL_MODEL
from tools.hosting.server import REPOSITORY

PICTURES = 4
FORMATS = ("mp4", "gif", "webm", "webp")
KINDS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("image_to_video", 1, {"frames": 4}),
    ("transition", 2, {"frames": 4}),
    ("text_to_video", 0, {"frames": 4}),
    ("extend", 1, {"frames": 40}),
    ("image_to_video", 1, {"frames": 8}),
    ("story", 2, {"prompt": "shot 8: a ball\ntransition 6: a ring\nshot 8: a cross"}),
    ("loop", 1, {"frames": 26}),
)
"""Kind, images, and what its rows say."""
SMALL = {"width": 64, "height": 64, "steps": 2, "cfg": 2}
SECONDS = 600
"""Within which anything happens that is waited for."""


def make_pictures(folder: Path) -> None:
    from PIL import Image

    for number in range(PICTURES):
        Image.new("RGB", (24, 16), (60 * number, 90, 160)).save(folder / f"{number}.png")


def mixed(count: int) -> list[dict[str, Any]]:
    """Rows of all kinds and formats, each with a seed of its own."""
    rows = []
    for number in range(count):
        kind, images, values = KINDS[number % len(KINDS)]
        names = [f"{(number + image) % PICTURES}.png" for image in range(images)]
        row = {"id": f"clip {number}", "kind": kind, "images": names, "prompt": "a ball", "seed": number}
        rows.append(row | SMALL | {"format": FORMATS[number % len(FORMATS)]} | values)
    return rows


def alike(count: int) -> list[dict[str, Any]]:
    """Rows of one prompt and without names, which differ by the seed alone."""
    row = {"images": ["1.png"], "prompt": "a ball", "frames": 8, **SMALL, "steps": 8}
    return [row | {"seed": number} for number in range(count)]


class Batch:
    """The command with its output folder `out` below `folder`, which has the pictures."""

    def __init__(self, folder: Path, name: str, rows: list[dict[str, Any]], host: str, *engine: str):
        self.folder, self.out = folder, folder / name
        table = folder / f"{name}.jsonl"
        table.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        self._command = [sys.executable, str(REPOSITORY / "tools" / "batch.py"), table.name, "--output", name]
        self._command += ["--device", "cpu", "--host", host, "--checkpoint", SMALL_MODEL, *engine]
        self._log = folder / f"{name}.log"

    def start(self, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
        """In the environment that this process is in already, so that the driver is this very process."""
        everything = (environment or os.environ) | {STARTED: str(time.time())}
        with open(self._log, "ab") as log:
            return subprocess.Popen(self._command, cwd=self.folder, env=everything, stdout=log, stderr=log)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Lines of its record so far, of these kinds."""
        file = self.out / "events.jsonl"
        lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] in names]

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")


def wait_for(what: str, happens: Callable[[], Any], run: subprocess.Popen | None = None) -> Any:
    """Wait until something is true; returns it. Raises RuntimeError where it is not in time, or the run ends before."""
    deadline = time.monotonic() + SECONDS
    while not (found := happens()):
        if time.monotonic() > deadline or (run is not None and run.poll() is not None and not happens()):
            raise RuntimeError(f"what: {what} did not happen: read the batch's log")
        time.sleep(0.1)
    return found
