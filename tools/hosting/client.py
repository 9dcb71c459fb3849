"""A client of ComfyUI's server: queues a graph, follows it over the websocket, fetches what it made."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

Graph = dict[str, dict[str, Any]]


class RunError(RuntimeError):
    """A graph did not come to its end."""


class ValidationFailed(RunError):
    """The server refused the graph; `node_errors` is its answer by node id, the message has its text."""

    def __init__(self, answer: Mapping[str, Any]):
        self.node_errors: dict[str, Any] = dict(answer.get("node_errors") or {})
        error = answer.get("error", answer)
        lines = [_sentence(error) if isinstance(error, Mapping) else str(error)]
        for node_id, node in self.node_errors.items():
            lines += [f"{node['class_type']} (node {node_id}): {_sentence(each)}" for each in node["errors"]]
        super().__init__("\n".join(lines))


class ExecutionFailed(RunError):
    """A node raised; `exception_message` is the node's own words."""

    def __init__(self, details: Mapping[str, Any]):
        self.node_id = str(details.get("node_id"))
        self.node_type = str(details.get("node_type"))
        self.exception_type = str(details.get("exception_type"))
        self.exception_message = str(details.get("exception_message"))
        self.traceback = "".join(details.get("traceback", ()))
        super().__init__(
            f"{self.node_type} (node {self.node_id}) raised {self.exception_type}: {self.exception_message}"
            f"\n{self.traceback}"
        )


class Interrupted(RunError):
    """The run was cancelled."""


@dataclass(frozen=True)
class Progress:
    """A node has begun (`value` and `maximum` 0) or taken step `value` of `maximum`."""

    node_id: str
    node_type: str
    value: int
    maximum: int


@dataclass(frozen=True)
class OutputFile:
    """A file a run left on the server."""

    node_id: str
    filename: str
    subfolder: str
    type: str


class Client:
    """One connection to a server at `address` ("127.0.0.1:8188"); `still_there` raises when the server is gone."""

    def __init__(self, address: str, still_there: Callable[[], None] = lambda: None):
        self.address = address
        self._still_there = still_there
        import requests  # as websocket below: commands read this file before the environment that has them is there

        self._id = uuid.uuid4().hex
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on the way to this machine
        self._graphs: dict[str, Graph] = {}
        self._socket = None

    def queue(self, graph: Graph, outputs: Sequence[str] = ()) -> str:
        """Queue an API-format graph and return its prompt id; raises ValidationFailed.

        outputs: ids of the nodes to run to, all output nodes where there are none.
        """
        if self._socket is None:  # connected before the run, so that none of its events is missed
            self._socket = self._connect()
        body = {
            "prompt": graph,
            "client_id": self._id,
            **({"partial_execution_targets": [*outputs]} if outputs else {}),
        }
        answer = self._request("POST", "/prompt", json=body)
        if answer.status_code == 400:
            raise ValidationFailed(answer.json())
        answer.raise_for_status()
        prompt_id = answer.json()["prompt_id"]
        self._graphs[prompt_id] = graph
        return prompt_id

    def run(
        self, graph: Graph, on_progress: Callable[[Progress], None] | None = None, timeout: float = 600
    ) -> dict[str, dict[str, Any]]:
        """Queue a graph, wait for its end and return its outputs by node id.

        Raises ValidationFailed, ExecutionFailed, Interrupted, or TimeoutError after `timeout` seconds.
        """
        return self.wait(self.queue(graph), on_progress, timeout)

    def wait(
        self, prompt_id: str, on_progress: Callable[[Progress], None] | None = None, timeout: float = 600
    ) -> dict[str, dict[str, Any]]:
        """Wait for a queued graph; see `run`."""
        for event in self.events(prompt_id, timeout):
            if on_progress is not None:
                on_progress(event)
        self._graphs.pop(prompt_id, None)  # a client may run a hundred thousand of them
        entry = self._ended(prompt_id)
        for kind, details in entry["status"]["messages"]:
            if kind == "execution_error":
                raise ExecutionFailed(details)
            if kind == "execution_interrupted":
                raise Interrupted(f"cancelled at {details['node_type']} (node {details['node_id']})")
        return entry["outputs"]

    def events(self, prompt_id: str, timeout: float = 600) -> Iterator[Progress]:
        """Progress of a queued graph until it has ended, whichever way."""
        import websocket

        graph = self._graphs.get(prompt_id, {})
        deadline = time.monotonic() + timeout
        while True:
            if time.monotonic() > deadline:
                self.interrupt()
                raise TimeoutError(f"the run did not end in {timeout:.0f} s and was cancelled")
            try:
                message = self._socket.recv()
            except websocket.WebSocketTimeoutException:
                self._still_there()
                if self.history(prompt_id):
                    return
                continue
            except (websocket.WebSocketException, OSError):
                self._still_there()
                self._socket = self._connect()
                continue
            # Pictures come as bytes; only text says how far a run is.
            event = json.loads(message) if isinstance(message, str) and message else {}
            data = event.get("data") or {}
            if data.get("prompt_id") != prompt_id or "node" not in data:
                continue
            if data["node"] is None:  # the server's way to say that this prompt has ended
                return
            node_id = str(data["node"])
            node_type = graph.get(node_id, {}).get("class_type", "?")
            if event["type"] == "executing":
                yield Progress(node_id, node_type, 0, 0)
            elif event["type"] == "progress":
                yield Progress(node_id, node_type, int(data["value"]), int(data["max"]))

    def interrupt(self) -> None:
        """Cancel what is running."""
        self._request("POST", "/interrupt", json={}).raise_for_status()

    def free(self) -> None:
        """Let go of loaded models, and of what runs have made so far: it is made anew where it is asked for again."""
        self._request("POST", "/free", json={"unload_models": True, "free_memory": True}).raise_for_status()

    def history(self, prompt_id: str) -> dict[str, Any]:
        """What the server says about a run that has ended, else {}."""
        return self.get(f"/history/{prompt_id}").json().get(prompt_id, {})

    def object_info(self, node_type: str | None = None) -> dict[str, Any]:
        """The server's description of all nodes, or of one ({} if it has no such node)."""
        if node_type is None:
            return self.get("/object_info").json()
        return self.get(f"/object_info/{quote(node_type)}").json().get(node_type, {})

    def system_stats(self) -> dict[str, Any]:
        """What the server says of itself and its devices."""
        return self.get("/system_stats").json()

    def templates(self) -> dict[str, list[str]]:
        """Names of the workflows each pack shows in the template browser."""
        return self.get("/api/workflow_templates").json()

    def subgraphs(self) -> dict[str, dict[str, Any]]:
        """The blueprints of the node library, the host's and the packs'."""
        return self.get("/global_subgraphs").json()

    def upload_image(self, name: str, content: bytes | Path) -> str:
        """Put an image file into the server's input folder; return the name for LoadImage."""
        data = content.read_bytes() if isinstance(content, Path) else content
        answer = self._request("POST", "/upload/image", data={"overwrite": "true"}, files={"image": (name, data)})
        answer.raise_for_status()
        return answer.json()["name"]

    def files(self, outputs: Mapping[str, Mapping[str, Any]]) -> list[OutputFile]:
        """The files named in a run's outputs, in order."""
        return [
            OutputFile(node_id, entry["filename"], entry.get("subfolder", ""), entry.get("type", "output"))
            for node_id, output in outputs.items()
            for entries in output.values()
            if isinstance(entries, list)
            for entry in entries
            if isinstance(entry, Mapping) and "filename" in entry
        ]

    def fetch(self, file: OutputFile) -> bytes:
        """The content of an output file."""
        query = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        return self.get("/view", query).content

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._session.close()

    def _ended(self, prompt_id: str) -> dict[str, Any]:
        # Its last message can arrive a moment before the entry does.
        for _ in range(100):
            entry = self.history(prompt_id)
            if entry:
                return entry
            time.sleep(0.1)
        raise RunError(f"the server has no record of prompt {prompt_id}")

    def _connect(self):
        import websocket

        return websocket.create_connection(f"ws://{self.address}/ws?clientId={self._id}", timeout=1)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What the server has at `path`, a `requests.Response`; raises `requests.HTTPError` where it has nothing."""
        answer = self._request("GET", path, params=query)
        answer.raise_for_status()
        return answer

    def _request(self, method: str, path: str, **parts: Any) -> Any:
        try:
            return self._session.request(method, f"http://{self.address}{path}", timeout=60, **parts)
        except OSError:
            self._still_there()
            raise


def _sentence(error: Mapping[str, Any]) -> str:
    details = error.get("details")
    return f"{error.get('message')}: {details}" if details else str(error.get("message"))
