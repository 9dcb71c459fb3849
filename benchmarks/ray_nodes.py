"""Nodes of a Ray cluster on this machine, each with an address of its own on the loopback; Linux."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST = "127.0.0.2"
"""Of the head. Ray takes 127.0.0.1 for the machine's address in its network."""
START_SECONDS = 120
STORE_BYTES = 80 * 1024**2


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of each process that runs."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(folder.name)] = int(parent), command
    return found


def descendants(ancestor: int) -> set[int]:
    """What a process has started, and what that has started."""
    parents = {process: parent for process, (parent, _) in processes().items()}
    found = {ancestor}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


class Nodes:
    """A head, and nodes that join it; a context manager. `address`, `environment`: for drivers."""

    def __init__(self, dashboard: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seine-ray-"))
        with socket.socket() as probe:
            probe.bind((FIRST, 0))
            self.address = f"{FIRST}:{probe.getsockname()[1]}"
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        # Said in full: without it Ray decides by what the user's home has, and not alike for a head and for the others.
        self.environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self._started: list[subprocess.Popen] = []
        self._dashboard = dashboard

    def __enter__(self) -> Nodes:
        port = self.address.partition(":")[2]
        dashboard = f"--include-dashboard={str(self._dashboard).lower()}"
        # The folder's path is kept short, as those of sockets below it may not have more than 107 bytes.
        head = ["--head", "--port", port, dashboard, "--temp-dir", str(self.folder), "--disable-usage-stats"]
        self._start(head, FIRST)
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self._started):
            node.terminate()
        for node in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(30)
        for process in self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self) -> subprocess.Popen:
        """One more node."""
        return self._start(["--address", self.address], f"127.0.0.{len(self._started) + 2}")

    def kill(self, node: subprocess.Popen) -> None:
        """End a node at once. What ran on it is left to notice."""
        started = descendants(node.pid)
        raylet = next(process for process in started if "/raylet/raylet " in processes()[process][1])
        for process in (node.pid, raylet):
            os.kill(process, signal.SIGKILL)
        node.wait(30)

    def running(self) -> dict[int, str]:
        """Command lines of all that runs in the cluster, or was left by it: what has its environment."""
        found = {}
        for process, (_, command) in processes().items():
            with contextlib.suppress(OSError):
                if str(self.folder).encode() in Path(f"/proc/{process}/environ").read_bytes():
                    found[process] = command
        return found

    def _start(self, arguments: list[str], ip: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *arguments]
        command += ["--node-ip-address", ip, "--num-cpus", "1", "--object-store-memory", str(STORE_BYTES)]
        log = self.folder / f"start-{len(self._started)}.log"
        with open(log, "wb") as output:
            node = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=self.environment
            )
        self._started.append(node)
        deadline = time.monotonic() + START_SECONDS
        while b"This command will now block" not in log.read_bytes():
            if node.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"node: `ray start` did not start one, fix what it says:\n{log.read_text()}")
            time.sleep(0.2)
        return node
