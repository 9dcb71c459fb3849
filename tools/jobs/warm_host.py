"""One ComfyUI that makes one job after the other, its model loaded once; started again where a job ends it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.hosting.client import Client, Progress
from tools.hosting.hosts import Host, link_folder
from tools.hosting.server import ComfyServer, ServerError
from tools.hosting.workflow_graph import Graph
from tools.jobs.graphs import graph_of
from tools.jobs.keys import Keyed
from tools.jobs.models import Models

MOST_SECONDS = 48 * 3600
"""Of one job: a film of a day is still one."""
WINDOW_STORE = "seine_windows"
"""Where SEINE's films keep their finished windows, below the host's user folder."""


@dataclass(frozen=True)
class Made:
    """A file in the host's output folder, and what it took."""

    file: Path
    graph: Graph
    seconds: float


class WarmHost:
    """A host in folder `base`; a context manager. windows: the folder in which films keep what is finished of them."""

    def __init__(self, host: Host, base: Path, models: Models, cpu: bool, windows: Path):
        self.cpu = cpu
        self._models = models
        self._windows = windows
        self._server = ComfyServer(host, base, models.placed(), cpu=cpu)
        self._asked: set[str] = set()

    def __enter__(self) -> WarmHost:
        self._windows.mkdir(parents=True, exist_ok=True)
        user = self._server.base / "user"
        user.mkdir(parents=True, exist_ok=True)
        link_folder(self._windows, user / WINDOW_STORE)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def process_id(self) -> int | None:
        return None if self._server.process is None else self._server.process.pid

    def restart(self) -> None:
        """Raises ServerError where it does not start."""
        self._server.stop()
        self._asked.clear()
        self._server.start()

    def interrupt(self) -> None:
        """Cancel what runs, from any thread. Raises OSError or ServerError where the host does not answer."""
        with contextlib.closing(Client(self._server.client.address)) as client:
            client.interrupt()

    def versions(self) -> dict[str, Any]:
        """What the host says of itself and its first device."""
        stats = self._server.client.system_stats()
        system = stats.get("system", {})
        names = {"comfyui": "comfyui_version", "torch": "pytorch_version", "python": "python_version"}
        devices = [device.get("name") for device in stats.get("devices", ())]
        return {name: system.get(key) for name, key in names.items()} | {"device": devices[0] if devices else None}

    def make(self, job: Keyed, on_progress: Callable[[Progress], None] | None = None) -> Made:
        """Run a job. Raises RunError for what is wrong with it, ServerError where the host has ended."""
        import requests  # as in the client: the environment that has them may not be there yet
        import websocket

        started = time.monotonic()
        client = self._server.client
        names = []
        try:
            for image, digest in zip(job.job.images, job.digests, strict=True):
                names.append(client.upload_image(f"{digest}{image.suffix.lower()}", image))
            prefix = self._prefix(job)
            models = self._models.model_name, self._models.base_name
            graph = self._on_this_device(graph_of(job.job, names, *models, job.seed, prefix))
            outputs = client.run(graph, on_progress, MOST_SECONDS)
        except (requests.ConnectionError, requests.Timeout, ConnectionError, websocket.WebSocketException) as problem:
            # A process that was killed closes its connections a moment before it is seen to have ended.
            raise ServerError(f"the host does not answer ({problem})") from problem
        finally:
            for name in set(names):
                (self._server.base / "input" / name).unlink(missing_ok=True)
        files = [file for file in client.files(outputs) if file.type == "output"]
        if len(files) != 1:
            raise ServerError(f"the host named {len(files)} files as what it made of {job.id}, where one was expected")
        path = self._server.output / files[0].subfolder / files[0].filename
        return Made(path, graph, time.monotonic() - started)

    def _prefix(self, job: Keyed) -> str:
        """Of the host's file: the job's alone, as hosts count files to find a free name.

        It stands in the file, so that it is the same whichever host makes the clip; but the second time a host is asked
        for one it would make nothing of the same graph.
        """
        key = job.key[:24]
        again = f"-{len(self._asked)}" if key in self._asked else ""
        self._asked.add(f"{key}{again}")
        return f"batch/{key}{again}"

    def _on_this_device(self, graph: Graph) -> Graph:
        """fp16 is for GPUs; a CPU has its own default."""
        for node in graph.values():
            if self.cpu and node["inputs"].get("weight_dtype") == "fp16":
                node["inputs"]["weight_dtype"] = "default"
        return graph
