"""What a running server makes of a graph: finished, refused in words, or wrong."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.fuzz.graph_cases import LOOK, SUBJECT
from tests.graphs import Graph
from tools.hosting.client import ExecutionFailed, RunError, ValidationFailed
from tools.hosting.server import PACK_NAME, ComfyServer, ServerError

SECONDS, MEGABYTES = 60, 2000
"""The longest that one graph may take, and the most memory beside what the idle server has."""
KINDS = ("finished", "refused by us", "refused by host", "failed in host", "wrong")
REMEDY = re.compile(
    r"\b(nearest valid|choose|give|lower|raise|wire|use|unplug|scale|divide|fix|bring|encode|load|set|put|write|shorten"
    r"|drop|make|take|fetch|remove|change|start ComfyUI|free memory|close)\b",
    re.IGNORECASE,
)
OURS = f"{Path('custom_nodes', PACK_NAME)}{os.sep}"
"""In the path of every file of the pack."""
OUR_ERRORS = ("ValueError", "OutOfMemory")

Outcome = tuple[str, str]
"""One of `KINDS`, and what was said."""


class GraphJudge:
    """Runs graphs in a server one after the other; a server that hung, died or took too much is started anew."""

    def __init__(self, server: ComfyServer, inputs: Mapping[str, Iterable[str]]) -> None:
        """inputs: the names of the inputs of each type of node."""
        self.server, self.inputs = server, inputs
        self._idle: float | None = None

    def warm_up(self, graph: Graph) -> None:
        """Run a graph that works, after which the server counts as idle."""
        self.server.client.run(graph)
        self._idle = _memory(self.server.process.pid, "VmRSS")

    def __call__(self, graph: Graph) -> Outcome:
        _forget_peak(self.server.process.pid)
        outcome = self._run(graph)
        if outcome[0] == "wrong" and self.server.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # one that is about to end
                self.server.process.wait(1)
        if self.server.process is None or self.server.process.poll() is not None:
            self._restart()
            return outcome
        grown = _memory(self.server.process.pid, "VmHWM") - (self._idle or 0)
        if self._idle is not None and grown > MEGABYTES:
            self._restart()
            return "wrong", f"took {grown:.0f} MB of memory; {outcome[1]}"
        return outcome

    def _run(self, graph: Graph) -> Outcome:
        try:
            outputs = self.server.client.run(graph, timeout=SECONDS)
        except ValidationFailed as error:
            return "refused by host", str(error)
        except ExecutionFailed as error:
            # A video is decoded by whoever looks at it: what is wrong then was given to the subject.
            near = (error.node_type, graph[SUBJECT]["class_type"])
            return judged(error, [name for node_type in near for name in self.inputs.get(node_type, ())])
        except TimeoutError as error:
            self._restart()
            return "wrong", f"hung: {error}"
        except (ServerError, RunError, OSError) as error:
            return "wrong", f"{type(error).__name__}: {error}"
        problems = outputs.get(LOOK, {}).get("problems", [])
        return ("wrong", f"finished, but {'; '.join(problems)}") if problems else ("finished", "")

    def _restart(self) -> None:
        self.server.stop()
        self.server.start()


def judged(error: ExecutionFailed, inputs: Iterable[str]) -> Outcome:
    """What a node's exception counts as: "wrong" where it came from the pack or through it, and says too little."""
    if not error.node_type.startswith("SEINE") and (OURS not in error.traceback or _passed_on(error.traceback)):
        return "failed in host", str(error)
    return ("refused by us" if is_ours(error) and says_enough(error, inputs) else "wrong"), str(error)


def _passed_on(traceback: str) -> bool:
    """Whether the last of the pack in it is a wrapper that gave back to the host what the host was about to do."""
    return "executor(" in traceback.split(OURS)[-1].split("File ")[0]


def is_ours(error: ExecutionFailed) -> bool:
    """Whether the pack's own code raised it, last in its traceback, as an error that is meant for people."""
    frames = re.findall(r'^\s*File "([^"]*)"', error.traceback, re.MULTILINE)
    return bool(frames) and OURS in frames[-1] and error.exception_type in OUR_ERRORS


def says_enough(error: ExecutionFailed, inputs: Iterable[str]) -> bool:
    """It names an input of the node, and a remedy."""
    message = error.exception_message
    names = any(re.search(rf"\b{re.escape(name)}\b", message, re.IGNORECASE) for name in inputs)
    return names and bool(REMEDY.search(message)) and len(message) < 2000


def _memory(pid: int, what: str) -> float:
    """Megabytes, by a line of Linux's account of a process: resident now (VmRSS) or at most (VmHWM)."""
    found = re.search(rf"^{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
