"""Runs a ComfyUI in a folder of its own and talks to it the way its interface does: HTTP and a websocket."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.hosting.client import Client
from tools.hosting.environment import ending_with_this_one, tail
from tools.hosting.hosts import Host, link_folder

if TYPE_CHECKING:
    from typing import Self  # from Python 3.11 on

REPOSITORY = Path(__file__).resolve().parents[2]
PACK_NAME = "comfyui-seine"
START_SECONDS = 300
IN_HOST = Path(__file__).with_name("in_host.py")
ANSWER, OUTPUT = "answer.json", "output.log"
"""Beside a request to in_host.py."""


class ServerError(RuntimeError):
    """The server did not start or is gone; the message ends with its log's last lines."""


def prepare_base(
    base: Path, models: Mapping[str, Sequence[Path]] | None = None, pack: Path | None = REPOSITORY
) -> None:
    """Lay out a folder with everything of a ComfyUI that is not code, the pack linked into custom_nodes.

    `models` maps a folder under models/, such as "seine", to files that appear there.
    """
    for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / name).mkdir(parents=True, exist_ok=True)
    for folder, files in (models or {}).items():
        (base / "models" / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            place_file(file, base / "models" / folder / file.name)
    link = base / "custom_nodes" / PACK_NAME
    if pack is not None and not link.exists():
        link_folder(pack, link)


def place_file(source: Path, target: Path) -> None:
    """Have `source` appear at `target`: a symbolic or hard link where possible, else a copy. Folders are linked."""
    if target.exists():
        return
    if source.is_dir():
        link_folder(source, target)
        return
    for make in (os.symlink, os.link, shutil.copyfile):
        try:
            make(source.resolve(), target)
            return
        except OSError:
            continue
    raise OSError(f"could not link or copy {source} to {target}")


def host_environment(host: Host) -> dict[str, str]:
    """Environment variables of a host's process: nothing fetched, nothing written into a user's own ComfyUI."""
    environment = os.environ | {
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
    }
    # Threads that spin while they wait make a small model several times slower when something else uses the machine.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment.pop("PYTHONPATH", None)
    if host.users_own:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return environment


def sees_gpu(host: Host, python: Path) -> bool:
    """Whether torch, as the host has it, sees a GPU."""
    code = "import torch, sys; sys.exit(not (torch.cuda.is_available() or torch.backends.mps.is_available()))"
    environment = host_environment(host)
    return subprocess.run([python, "-c", code], check=False, capture_output=True, env=environment).returncode == 0


def host_arguments(base: Path, cpu: bool = True) -> list[str]:
    """Command-line options, apart from the folders, that keep a host to itself."""
    database = f"sqlite:///{(base / 'user' / 'comfyui.db').as_posix()}"
    arguments = ["--disable-auto-launch", "--disable-api-nodes", "--database-url", database]
    return [*arguments, "--cpu"] if cpu else arguments


class ComfyServer:
    """A running ComfyUI with the pack in it; a context manager.

    with ComfyServer(host, folder, models={"seine": [file]}) as server:
        outputs = server.client.run(graph)

    `folder` becomes the base folder (models/, input/, output/ …) and holds server.log.
    """

    def __init__(
        self,
        host: Host,
        base: Path,
        models: Mapping[str, Sequence[Path]] | None = None,
        extra_args: Sequence[str] = (),
        cpu: bool = True,
        pack: Path | None = REPOSITORY,
    ):
        self.host = host
        self.base = base.resolve()
        self.models = self.base / "models"
        self.output = self.base / "output"
        self.log = self.base / "server.log"
        self.extra_args = list(extra_args)
        self.cpu = cpu
        self.process: subprocess.Popen | None = None
        self._client: Client | None = None
        self._to_place = models
        self._pack = pack

    @property
    def client(self) -> Client:
        if self._client is None:
            raise ServerError("the server is not running")
        return self._client

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers; raises ServerError with the log's last lines."""
        python = self.host.prepare()
        prepare_base(self.base, self._to_place, self._pack)
        port = _free_port()
        command = [str(python), str(self.host.folder / "main.py")]
        command += ["--base-directory", str(self.base), "--listen", "127.0.0.1", "--port", str(port)]
        command += [*host_arguments(self.base, self.cpu), *self.extra_args]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.base,
                env=host_environment(self.host),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **own_process_group(),
                **ending_with_this_one(getattr(signal, "SIGKILL", signal.SIGTERM)),
            )
        try:
            self._wait_until_ready(port)
            self._client = Client(f"127.0.0.1:{port}", still_there=self.check)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and everything it started."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self.process is None:
            return
        end_process_group(self.process)
        self.process = None

    def check(self) -> None:
        """Raise ServerError if the process has ended."""
        if self.process is None or self.process.poll() is not None:
            code = None if self.process is None else self.process.returncode
            raise ServerError(f"the {self.host.name} server ended (exit code {code}); its log ends:\n{tail(self.log)}")

    def _wait_until_ready(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            address = f"http://127.0.0.1:{port}/system_stats"
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
                return
            time.sleep(0.2)
        raise ServerError(
            f"the {self.host.name} server did not answer in {START_SECONDS} s; its log ends:\n{tail(self.log)}"
        )


def run_in_host(
    host: Host,
    base: Path,
    script: Path,
    keywords: Mapping[str, Any] | None = None,
    timeout: float = 600,
    cpu: bool = True,
) -> Any:
    """Call `main(**keywords)` of a Python file in a fresh process of the host; return what it returns (JSON values).

    Raises AssertionError with the script's traceback if it fails.
    """
    python = host.prepare()
    base = base.resolve()
    prepare_base(base)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        request = write_request(folder, host, base, script, keywords, cpu)
        with open(folder / OUTPUT, "wb") as output:
            process = subprocess.Popen(
                [str(python), str(IN_HOST), str(request)],
                cwd=base,
                env=host_environment(host),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **own_process_group(),
            )
        try:
            end = f"exit code {process.wait(timeout)}"
        except subprocess.TimeoutExpired:
            end = f"stopped after {timeout} s"
        finally:
            end_process_group(process)
        return read_answer(folder, host, script, end)


def write_request(
    folder: Path, host: Host, base: Path, script: Path, keywords: Mapping[str, Any] | None = None, cpu: bool = True
) -> Path:
    """The file that says to in_host.py what to run; its answer and what it prints come into the same folder."""
    request = {
        "host_folder": str(host.folder),
        "base": str(base),
        "arguments": host_arguments(base, cpu),
        "pack": str(REPOSITORY),
        "script": str(Path(script).resolve()),
        "keywords": dict(keywords or {}),
        "answer": str(folder / ANSWER),
        "output": str(folder / OUTPUT),
    }
    file = folder / "request.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    return file


def read_answer(folder: Path, host: Host, script: Path, end: str) -> Any:
    """What the script of a request returned; `end` says how its process ended.

    Raises AssertionError with the script's traceback, or with the last lines of what was printed.
    """
    answer = folder / ANSWER
    if not answer.exists():
        raise AssertionError(f"{script} ended the {host.name} host's process ({end}):\n{tail(folder / OUTPUT)}")
    said = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in said:
        raise AssertionError(f"{script} failed in the {host.name} host:\n{said['error']}")
    return said["result"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def own_process_group() -> dict[str, Any]:
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def end_process_group(process: subprocess.Popen) -> None:
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], check=False, capture_output=True)
        process.wait(30)
        return
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            break
