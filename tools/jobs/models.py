"""Which checkpoint a run uses, where its files are, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seine_model.writing import whole_file
from tools.hosting.environment import cache_folder
from tools.hosting.model_files import BASE, SEINE
from tools.jobs.digests import digest_of

BUNDLED = "bundled"
PACK_MODELS = Path(__file__).resolve().parents[2] / "models"
SEINE_FOLDERS = (".", "seine", "diffusion_models", "checkpoints")
BASE_FOLDERS = ("checkpoints", "diffusers")
REMEMBERED = "fingerprints.json"


@dataclass(frozen=True)
class Models:
    """Names as the loader has them, the files where they are here, and the fingerprint where all of them are."""

    model_name: str
    base_name: str
    model: Path | None
    base: Path | None
    fingerprint: str | None

    @property
    def base_for_key(self) -> str:
        """Within a known fingerprint is the base too."""
        return "" if self.fingerprint else self.base_name

    def missing(self) -> str | None:
        """What is not here and what to do, in words; None where all is."""
        lacking = self.model_name if self.model is None else self.base_name
        if self.model is not None and (self.base is not None or self.base_name == BUNDLED):
            return None
        return (
            f"{lacking}: there is no such file: give --checkpoint and --base, or --models with the models folder that "
            "has it; --checkpoint seine-small.safetensors is the small model of the pack"
        )

    def placed(self) -> dict[str, list[Path]]:
        """The files by the folder of models/ that a host is to have them in."""
        places: dict[str, list[Path]] = {"seine": [self.model]} if self.model else {}
        if self.base is not None:
            places.setdefault("diffusers" if self.base.is_dir() else "checkpoints", []).append(self.base)
        return places


def models_of(model: str | None, base: str | None, roots: Sequence[Path], folders: Sequence[Path]) -> Models:
    """The files of a checkpoint and its base, named by path or as in a models folder.

    roots: models folders; folders: where relative paths begin. No base: the checkpoint is a bundle, unless it is the
    published one, which needs one.
    """
    model = model or SEINE.name
    found = _find(model, SEINE_FOLDERS, roots, folders)
    name = Path(model.replace("\\", "/")).name
    if base is None:
        base = BASE.name if name == SEINE.name else BUNDLED
    found_base = None if base == BUNDLED else _find(base, BASE_FOLDERS, roots, folders)
    base_name = Path(base.replace("\\", "/").rstrip("/")).name
    complete = found is not None and (found_base is not None or base == BUNDLED)
    fingerprint = None
    if complete:
        fingerprint = _fingerprint([found, *([found_base] if found_base else [])])
    return Models(name, base_name, found, found_base, fingerprint)


def default_roots(chosen: Path | None) -> list[Path]:
    """The chosen models folder, that of $COMFYUI_PATH, and the pack's own."""
    comfyui = os.environ.get("COMFYUI_PATH")
    return [*([chosen] if chosen else []), *([Path(comfyui) / "models"] if comfyui else []), PACK_MODELS]


def _find(name: str, below: Sequence[str], roots: Sequence[Path], folders: Sequence[Path]) -> Path | None:
    candidates = [folder / name for folder in folders]
    candidates += [root / folder / name for root in roots for folder in below]
    found = next((path for path in candidates if path.exists()), None)
    return None if found is None else Path(os.path.abspath(found))


def _fingerprint(paths: Sequence[Path]) -> str:
    """sha256 over the contents of files, and of all files of folders with their names."""
    whole = hashlib.sha256()
    for path in paths:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path).as_posix() if path.is_dir() else ""
            whole.update(f"{name}\n{_remembered_digest(file)}\n".encode())
    return whole.hexdigest()


def _remembered_digest(file: Path) -> str:
    """A digest of gigabytes is kept in the cache folder, for as long as size and time of the file are the same."""
    memory = cache_folder() / REMEMBERED
    facts = file.stat()
    name = f"{file} {facts.st_size} {facts.st_mtime_ns}"
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if name not in known:
        known = {other: digest for other, digest in known.items() if not other.startswith(f"{file} ")}
        known[name] = digest_of(file)
        # It is read again next time where it cannot be remembered.
        with suppress(OSError), whole_file(memory) as part:
            part.write_text(json.dumps(known), encoding="utf-8")
    return known[name]
