"""The service without Ray: its application, and somebody who makes its clips at once, or when he is let."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.jobs.keys import Keyed
from tools.jobs.making import Outcome
from tools.jobs.models import models_of
from tools.jobs.results import Results
from tools.jobs.service.app import Settings, build_app

ADDRESS = "http://127.0.0.1:8190"


class Maker:
    """write: puts a clip at a path. closed: nothing is made until `open` is set. fate: raised instead, one by one."""

    def __init__(self, output: Path, models: Any, write: Callable[[Path, Keyed], None] | None = None):
        self._results, self._models = Results(output), models
        self._write = write or (lambda path, item: path.write_text(item.key))
        self.open = threading.Event()
        self.open.set()
        self.at: list[str] = []
        self.made: list[str] = []
        self.cancelled: list[str] = []
        self.fate: list[Exception] = []

    async def __call__(self, item: Keyed) -> Outcome:
        self.at.append(item.key)
        try:
            while not self.open.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled.append(item.key)
            raise
        if self.fate:
            outcome = self.fate.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        made = self._results.folder / f".made-{len(self.made)}"
        self._write(made, item)
        self._results.keep(item, made, {**item.described(self._models), "seconds": 0.5, "graph": {}})
        made.unlink()
        self.made.append(item.key)
        return Outcome(True, 0.5)


def checkpoint(folder: Path) -> Any:
    """Models that are there."""
    folder.mkdir(exist_ok=True)
    (folder / "m.safetensors").write_bytes(b"weights")
    return models_of("m.safetensors", None, [folder], [])


@contextmanager
def serving(folder: Path, maker: Maker | None = None, places: int = 2, **settings: Any):
    """A client of the service, and who makes its clips."""
    from starlette.testclient import TestClient

    models = checkpoint(folder / "models")
    (folder / "out").mkdir(exist_ok=True)  # as a claimed one
    maker = maker or Maker(folder / "out", models)
    application, _ = build_app(Settings(folder / "out", **settings), models, maker, places)
    with TestClient(application, base_url=ADDRESS) as client:
        yield client, maker
