"""Runs clips with one node in them on a server, and says what became of each."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass

from safetensors.torch import load
from torch import Tensor

from tools.authoring.compatibility.clip import FIRST, SECOND, Graph, plain
from tools.authoring.compatibility.inserting import lacking, with_node
from tools.authoring.compatibility.reasons import never_run
from tools.authoring.compatibility.settings import SECONDS, Case
from tools.authoring.compatibility.stock import stock_nodes
from tools.hosting.client import ExecutionFailed, RunError, ValidationFailed
from tools.hosting.server import PACK_NAME, ComfyServer, ServerError

ACTS, ROUNDING, NOTHING = "acts", "changes rounding alone", "changes nothing"
"""Other latents or a file; latents that differ by less than `ROUNDED`; the same, bit for bit."""
REFUSED, STOPS, BROKEN = "refused", "stops", "broken"
"""An error of ours, in words; one of the host's; what must not be: latents that are not finite, a trace, a hang."""
ROUNDED = 1e-5
"""Of the largest latent: what a batch of other rows, or a sum in another order, changes."""
OURS = f"custom_nodes/{PACK_NAME}/"
"""In the path of every file of the pack."""


@dataclass(frozen=True)
class Outcome:
    """One of the kinds above, and what was said."""

    kind: str
    words: str = ""
    node_type: str = ""
    """Of the node that raised."""

    def to_json(self) -> dict[str, str]:
        return asdict(self)


class Judge:
    """Tries cases on a running server, and after each the plain clip; the server is started anew where it hung."""

    def __init__(self, server: ComfyServer) -> None:
        self.server = server
        self.nodes = stock_nodes(server.client.object_info())
        self._number = 0
        self._known: dict[str, dict[str, Tensor]] = {}

    def __call__(self, name: str, case: Case) -> Outcome:
        outcome = self._outcome(name, case)
        trace = self._trace()
        return Outcome(BROKEN, f"{outcome.kind} {outcome.words}: {trace}") if trace else outcome

    def tried(self, name: str, case: Case) -> Outcome | None:
        """The same; None for a node that cannot be run, or that does not end."""
        stock = self.nodes[name]
        return None if lacking(stock, case.settings) or never_run(name) else self(name, case)

    def _outcome(self, name: str, case: Case) -> Outcome:
        plain_clip = self._plain(case.variant)
        graph = with_node(self.nodes[name], case.settings, case.place, case.variant, self._next())
        try:
            if case.after:
                self._latents(with_node(self.nodes[case.after], {}, number=self._next()), case.seconds)
            files = self._files()
            found = self._latents(graph, case.seconds)
        except ValidationFailed as error:
            return Outcome(BROKEN, str(error))
        except ExecutionFailed as error:
            kind = REFUSED if is_ours(error) else STOPS
            return Outcome(kind, first_sentence(error), error.node_type)
        except TimeoutError as error:
            self._restart()
            return Outcome(BROKEN, str(error))
        except (ServerError, RunError, OSError) as error:
            self._restart()
            return Outcome(BROKEN, f"{type(error).__name__}: {error}")
        if not all(bool(value.isfinite().all()) for value in found.values()):
            return Outcome(BROKEN, "the latents are not finite")
        if self._files() != files:
            return Outcome(ACTS, "writes a file")
        change = largest_change(found, plain_clip)
        kind = ACTS if change > ROUNDED else ROUNDING if change else NOTHING
        return Outcome(kind, f"{change:.2g}")

    def _trace(self) -> str:
        """What is wrong with the plain clip; "" where it is what it was."""
        before = self._plain()
        try:
            found = self._latents(plain(number=self._next()), SECONDS)
        except (RunError, ServerError, OSError, TimeoutError) as error:
            self._restart()
            return f"the plain clip after it failed: {error}"
        return "the plain clip after it is another" if largest_change(found, before) else ""

    def _plain(self, variant: str = "") -> dict[str, Tensor]:
        """A plain clip, made when it is first asked for."""
        if variant not in self._known:
            self._known[variant] = self._latents(plain(variant, self._next()), SECONDS)
        return self._known[variant]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _latents(self, graph: Graph, seconds: float) -> dict[str, Tensor]:
        client = self.server.client
        outputs = client.run(graph, timeout=seconds)
        saved = {file.node_id: file for file in client.files(outputs) if file.node_id in (FIRST, SECOND)}
        if len(saved) < 2:
            raise RunError(f"the run ended, but saved only {sorted(saved)} of the latents: {outputs}")
        return {name: load(client.fetch(file))["latent_tensor"] for name, file in saved.items()}

    def _files(self) -> set[str]:
        """Names of what was written, but for latents that all graphs save."""
        base = self.server.base
        folders = (
            path for path in base.iterdir() if path.is_dir() and path.name not in ("custom_nodes", "temp", "user")
        )
        found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in found if path.parent != self.server.output / "latents"}

    def _restart(self) -> None:
        self.server.stop()
        self.server.start()


def largest_change(found: dict[str, Tensor], plain: dict[str, Tensor]) -> float:
    """Share of the largest latent; 0 for what is equal bit for bit, infinity for latents of other shapes."""
    changes = [0.0]
    for name, value in plain.items():
        if found[name].shape != value.shape:
            return math.inf
        if not found[name].equal(value):
            changes.append(float((found[name] - value).abs().max() / value.abs().max()) or math.ulp(1.0))
    return max(changes)


def is_ours(error: ExecutionFailed) -> bool:
    """Whether the pack's own code raised it, last in its traceback, as an error that is meant for people."""
    frames = re.findall(r'^\s*File "([^"]*)".*\n\s*(.*)', error.traceback, re.MULTILINE)
    return bool(frames) and OURS in frames[-1][0].replace("\\", "/") and frames[-1][1].startswith("raise ")


def first_sentence(error: ExecutionFailed) -> str:
    """The message up to its first full stop or line's end."""
    message = error.exception_message.strip() or error.exception_type
    return re.split(r"(?<=[a-z0-9)])\. |\n", message)[0].rstrip(".")
