"""The Python environments of the commands, the tests and the hosts: venvs in the user's cache folder.

One is filled group by group. Each host has a small one of its own on top of it, which sees what is in the first
(PyTorch above all) and holds what only this host wants, so that two hosts may want two versions of a package. Needs
nothing but the standard library and a Python with pip, and leaves the Python that runs it as it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")
HTTP = ("fastapi", "uvicorn", "python-multipart", "swagger-ui-bundle")
GROUPS: dict[str, tuple[str, ...]] = {
    # What talks to a server and handles pictures; enough where ComfyUI has a Python of its own.
    "client": ("numpy", "pillow", "scikit-image", "av", "websocket-client", "requests", "tqdm"),
    # Reads the official configuration files by the rules of the library that the official code reads them with.
    "batch": ("omegaconf", "pyyaml"),
    # The engine of batches beyond one host; in an environment of its own.
    "ray": ("ray==2.60.*",),
    # The HTTP service, in one too; the page that documents it brings its own scripts.
    "service": ("ray[serve]==2.60.*", *HTTP),
    "torch": TORCH,
    "training": ("transformers", "safetensors", "matplotlib"),
    # pytest-xdist 3.8 tells groups by an attribute that pytest 9.2 no longer reads: each test would be a group of its
    # own, and every server and report be made once more by each process.
    "tests": ("pytest<9.2", "pytest-xdist", "hypothesis", "ruff", "safetensors", "kornia", *HTTP, "httpx2"),
    "browser": ("playwright",),
}
MINIMUM_PYTHON = (3, 10)
PIP_ATTEMPTS = 3
PR_SET_PDEATHSIG = 1
"""Of <sys/prctl.h>."""
STARTED = "SEINE_STARTED"
"""Holds the time a script was started at, where it runs in its environment."""
_THREAD = threading.local()


class SetupError(RuntimeError):
    """Something the demo or the tests need could not be set up; the message says what and what to do."""


def say(message: str) -> None:
    """Print one progress line at once."""
    print(f"[seine] {message}", flush=True)


def cache_folder() -> Path:
    """The project's folder in the user's cache, created if need be."""
    if os.name == "nt":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "comfyui-seine"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python_in(venv: Path) -> Path:
    """The interpreter of a virtual environment folder."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def venv_folder() -> Path:
    return cache_folder() / "venv"


def ensure(*groups: str) -> Path:
    """Have the venv with these groups of `GROUPS` installed; return its interpreter.

    Does nothing where a stamp says the same list is installed already. Raises SetupError with pip's last words.
    """
    return _ensure(venv_folder(), {group: list(GROUPS[group]) for group in groups})


def ensure_on_top(name: str, requirements: Path, *groups: str) -> Path:
    """Have a venv called `name` with what a pip requirements file lists, on top of the one with these groups.

    Returns its interpreter. Raises SetupError with pip's last words.
    """
    shared = ensure(*groups)
    return _ensure(cache_folder() / f"venv-{name}", {name: _read_requirements(requirements)}, shared)


def ensure_own(name: str, *groups: str) -> Path:
    """Have a venv for one group of `GROUPS` alone, on top of the one with the others; return its interpreter."""
    shared = ensure(*groups)
    return _ensure(cache_folder() / f"venv-{name}", {name: list(GROUPS[name])}, shared)


def _ensure(venv: Path, wanted: dict[str, list[str]], on_top_of: Path | None = None) -> Path:
    if sys.version_info < MINIMUM_PYTHON:
        raise SetupError(f"Python {sys.version.split()[0]} is too old: run this with Python 3.10 or later.")
    if _missing(venv, wanted):
        with lock("setup"):  # another run may have done it while this one waited
            _create_venv(venv)
            if on_top_of is not None:
                _see_packages_of(on_top_of, venv)
            missing = _missing(venv, wanted)
            if missing:
                _install(venv, missing)
    return python_in(venv)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Let one process at a time into a piece of set-up; freed by the system if the process dies."""
    with open(cache_folder() / f"{name}.lock", "a+") as file:
        waited = False
        while not try_lock(file):
            if not waited:
                say("waiting for another run of these tools to finish its set-up")
                waited = True
            time.sleep(1)
        yield


def run_logged(command: Sequence[str | Path], log: Path, what: str, timeout: float | None = None) -> int:
    """Run a command with its output in `log`, printing a line every 30 s; return the exit code (124: timed out)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(log, "wb") as output:
        environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while True:
                try:
                    return process.wait(timeout=30 if timeout is None else min(30, timeout))
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    if timeout is not None and elapsed >= timeout:
                        return 124
                    say(f"{what}: {elapsed:.0f} s so far")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def run_to_its_end(command: Sequence[str | Path], **options: object) -> int:
    """Run a command in the foreground and return its exit code.

    Ctrl-C and a request to terminate are the command's to handle, so that it can stop what it has started.
    """
    process = subprocess.Popen([str(part) for part in command], **ending_with_this_one(signal.SIGTERM), **options)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


def ending_with_this_one(sent: int) -> dict[str, Any]:
    """Arguments for `Popen` by which the child gets a signal when this process dies, even by SIGKILL; on Linux alone.

    The kernel means the thread that started the child, so that it is only asked of the main one, and of those that
    `last_as_long_as_the_process` was called in.
    """
    lasts = threading.current_thread() is threading.main_thread() or getattr(_THREAD, "lasts", False)
    if sys.platform != "linux" or not lasts:
        return {}
    system, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def before_it_runs() -> None:
        system.prctl(PR_SET_PDEATHSIG, sent)
        if os.getppid() != parent:  # it died before it was asked
            os.kill(os.getpid(), sent)

    return {"preexec_fn": before_it_runs}


def last_as_long_as_the_process() -> None:
    """Said in a thread that ends with its process alone: children that it starts may end with it."""
    _THREAD.lasts = True


def enter(script: Path, *groups: str, own: str | None = None) -> int | None:
    """Run a script again, with its arguments, in the environment that has these groups; return its exit code.

    own: a group with an environment of its own, on top of theirs. None where this is that run already: it can import
    what it needs.
    """
    if STARTED in os.environ:
        tidy_up_when_terminated()
        return None
    started = time.time()
    python = ensure(*groups) if own is None else ensure_own(own, *groups)
    command = [python, script.resolve(), *sys.argv[1:]]
    return run_to_its_end(command, env=os.environ | {STARTED: str(started)})


def tidy_up_when_terminated() -> None:
    """Let a request to terminate end this process through its `finally` clauses and context managers."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)


def tail(log: Path, lines: int = 30) -> str:
    """The last lines of a text file."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def try_lock(file: IO[str]) -> bool:
    """Lock an open file for this process, and say whether that could be done; it is freed when the file is closed."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read_requirements(file: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def _digest(requirements: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(requirements).encode()).hexdigest()


def _stamp(venv: Path, group: str) -> Path:
    return venv / f"installed-{group}.txt"


def _missing(venv: Path, wanted: dict[str, list[str]]) -> dict[str, list[str]]:
    def installed(group: str, requirements: list[str]) -> bool:
        stamp = _stamp(venv, group)
        return stamp.exists() and stamp.read_text() == _digest(requirements)

    return {group: requirements for group, requirements in wanted.items() if not installed(group, requirements)}


def _create_venv(venv: Path) -> None:
    if _stamp(venv, "pip").exists() and python_in(venv).exists():
        return
    say(f"creating a Python environment in {venv}")
    log = cache_folder() / "logs" / "venv.log"
    created = run_logged([sys.executable, "-m", "venv", "--clear", venv], log, "creating the environment") == 0
    if not created:
        # Some distributions ship Python without ensurepip, but with pip itself, which can then be used from outside.
        bare = [sys.executable, "-m", "venv", "--clear", "--without-pip", venv]
        with_pip = [sys.executable, "-m", "pip", "--python", python_in(venv), "install", "pip"]
        created = all(run_logged(step, log, "creating the environment") == 0 for step in (bare, with_pip))
    if not created:
        raise SetupError(
            f"could not create a Python environment in {venv}:\n{tail(log)}\n"
            "Install your system's venv package (Debian, Ubuntu: apt install python3-venv) and run this again."
        )
    _stamp(venv, "pip").touch()


def _see_packages_of(python: Path, venv: Path) -> None:
    """Let a venv import what another one holds and it does not."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    shared, own = (
        subprocess.run([each, "-c", where], check=True, capture_output=True, text=True).stdout.strip()
        for each in (python, python_in(venv))
    )
    (Path(own) / "shared.pth").write_text(shared + "\n", encoding="utf-8")


def _install(venv: Path, missing: dict[str, list[str]]) -> None:
    requirements = sorted({requirement for group in missing.values() for requirement in group})
    # Hosts ask for "torch" without a version; the constraint keeps the one all of them are tested with.
    constraints = venv / "constraints.txt"
    constraints.write_text("\n".join(TORCH) + "\n")
    size = ", PyTorch among them: several GB on Linux" if "torch" in missing else ""
    what = f"installing {len(requirements)} packages ({', '.join(missing)}{size})"
    say(what)
    log = cache_folder() / "logs" / "pip.log"
    # Python compiles what is imported, which is a small part of what pip would compile: most of a minute.
    command = [python_in(venv), "-m", "pip", "install", "--no-compile", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "-c", constraints, *requirements]
    started = time.monotonic()
    for attempt in range(1, PIP_ATTEMPTS + 1):
        if run_logged(command, log, "installing packages") == 0:
            break
        if attempt == PIP_ATTEMPTS:
            raise SetupError(f"pip could not install what is needed, see {log}:\n{tail(log)}")
        say(f"pip failed (attempt {attempt} of {PIP_ATTEMPTS}), trying again")
        time.sleep(5 * attempt)
    for group, requirements in missing.items():
        _stamp(venv, group).write_text(_digest(requirements))
    say(f"packages installed in {time.monotonic() - started:.0f} s")
