"""Runs scripts in a ComfyUI's own process without the seconds that its imports take: they are made once and forked."""

from __future__ import annotations

import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.hosting.hosts import Host
from tools.hosting.server import (
    IN_HOST,
    OUTPUT,
    end_process_group,
    host_environment,
    own_process_group,
    read_answer,
    run_in_host,
    write_request,
)

if TYPE_CHECKING:
    from typing import Self  # from Python 3.11 on

CAN_FORK = sys.platform.startswith("linux")
"""Elsewhere there is no fork, or libraries do not outlive it: each script has a fresh process."""


class HostForks:
    """A process of the host that waits with everything imported; a context manager. It starts at the first call.

    with HostForks(host, base) as forks:
        answer = forks.run(script, {"size": 64})
    """

    def __init__(self, host: Host, base: Path):
        self.host = host
        self.base = base.resolve()
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, script: Path, keywords: Mapping[str, Any] | None = None, timeout: float = 600) -> Any:
        """Call `main(**keywords)` of a Python file in a fork; return what it returns (JSON values).

        Raises AssertionError with the script's traceback if it fails.
        """
        if not CAN_FORK:
            return run_in_host(self.host, self.base, script, keywords, timeout)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            request = write_request(folder, self.host, self.base, script, keywords)
            if self._process is None:
                self._start(request, folder / OUTPUT)
            return read_answer(folder, self.host, script, self._end_of(request, timeout))

    def stop(self) -> None:
        """End the process and all its forks."""
        if self._process is not None:
            end_process_group(self._process)
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None

    def _start(self, request: Path, log: Path) -> None:
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [str(self.host.prepare()), str(IN_HOST), str(request), "--stay"],
                cwd=self.base,
                env=host_environment(self.host),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                **own_process_group(),
            )

    def _end_of(self, request: Path, timeout: float) -> str:
        """How the fork that runs a request has ended, in words; the process goes with one that takes too long."""
        print(request, file=self._process.stdin, flush=True)
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            self.stop()
            return f"stopped after {timeout} s"
        code = self._process.stdout.readline().strip()
        if not code:
            code = str(self._process.wait())
            self.stop()
        return f"exit code {code}"
