"""Where SEINE files are found: models/seine, models/diffusion_models, models/checkpoints, and models/diffusers.

The pack has a small model of its own and a LoRA for it, which the host's lists show too.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import folder_paths

FOLDER, LORAS = "seine", "loras"
_MODEL_FOLDERS = (FOLDER, "diffusion_models", "unet", "checkpoints")
_SUFFIXES = {".safetensors", ".sft", ".pt", ".pth", ".ckpt", ".bin"}
BUNDLED = "bundled"
_PACK = Path(__file__).resolve().parents[1]
_PACK_MODELS, _PACK_LORAS = str(_PACK / "models"), str(_PACK / "loras")
EXAMPLES = _PACK / "example_inputs"
_EXAMPLE_SUFFIXES = {".png", ".mp4"}


def register_folder() -> None:
    """Make models/seine and the pack's own files known to the host; a path the user configured stays."""
    own = os.path.join(folder_paths.models_dir, FOLDER)
    for kind, folders, needed in ((FOLDER, (own, _PACK_MODELS), _SUFFIXES), (LORAS, (_PACK_LORAS,), {".safetensors"})):
        paths, suffixes = folder_paths.folder_names_and_paths.get(kind, ([], set()))
        paths = [*paths, *(folder for folder in folders if folder not in paths)]
        folder_paths.folder_names_and_paths[kind] = (paths, set(suffixes) | needed)


def prepare_folders() -> None:
    """Make models/seine, with a file that says what goes there, and put what the templates show among the inputs.

    What is there stays as it is; what cannot be written is left out: a folder may be another user's.
    """
    try:
        folder = Path(folder_paths.models_dir, FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "put_seine_checkpoints_here").touch()
        inputs = Path(folder_paths.get_input_directory())
        inputs.mkdir(parents=True, exist_ok=True)
        for example in sorted(EXAMPLES.iterdir()):
            if example.suffix in _EXAMPLE_SUFFIXES and not (inputs / example.name).exists():
                shutil.copyfile(example, inputs / example.name)
    except OSError as error:
        logging.warning("SEINE: %s could not be written (%s)", error.filename, error.strerror)


def model_names() -> list[str]:
    """Files that may be a SEINE model, those of models/seine first."""
    return list(dict.fromkeys(name for folder in _folders() for name in folder_paths.get_filename_list(folder)))


def model_path(name: str) -> Path:
    """Raises ValueError where no folder has this file."""
    for folder in _folders():
        path = folder_paths.get_full_path(folder, name)
        if path:
            return Path(path)
    raise ValueError(
        f"model_name: {name} is in none of models/{', models/'.join(_folders())}: put it into models/seine"
    )


def base_names() -> list[str]:
    """What can give the text encoder and VAE: the SEINE file itself, SD 1.x files, diffusers folders."""
    return list(dict.fromkeys([BUNDLED, *folder_paths.get_filename_list("checkpoints"), *_diffusers_folders()]))


def base_path(name: str) -> Path:
    """Raises ValueError where there is no such file or folder."""
    path = folder_paths.get_full_path("checkpoints", name) or _diffusers_folders().get(name)
    if not path:
        raise ValueError(
            f"base_name: {name} is neither a file in models/checkpoints nor a folder in models/diffusers: put Stable "
            "Diffusion 1.4 or 1.5 there"
        )
    return Path(path)


def version_of(model_name: str | None, base_name: str | None = BUNDLED) -> str | None:
    """Another one when a model or base was replaced on disk, so that a running host loads it anew.

    None for a name that is wired in, which only the run knows. Raises ValueError for a file that is not there.
    """
    if model_name is None or base_name is None:
        return None
    paths = [model_path(model_name)]
    if base_name != BUNDLED:
        base = base_path(base_name)
        paths += sorted(base.rglob("*")) if base.is_dir() else [base]
    facts = [path.stat() for path in paths]
    return " ".join(f"{each.st_ino}:{each.st_size}:{each.st_mtime_ns}" for each in facts)


def embeddings_folders() -> list[str]:
    return folder_paths.get_folder_paths("embeddings")


def _folders() -> list[str]:
    known = [folder for folder in _MODEL_FOLDERS if folder in folder_paths.folder_names_and_paths]
    return [folder for folder in known if not (folder == "unet" and "diffusion_models" in known)]


def _diffusers_folders() -> dict[str, str]:
    """Folders with a text_encoder and a vae in them, by name."""
    roots = folder_paths.get_folder_paths("diffusers") if "diffusers" in folder_paths.folder_names_and_paths else []
    found = {}
    for root in filter(os.path.isdir, roots):
        try:
            names = sorted(os.listdir(root))
        except OSError as error:
            logging.warning("SEINE: %s cannot be looked through: %s", root, error.strerror)
            continue
        # os.path, not pathlib, which raises for what may not be looked into (a root-only lost+found).
        for name in names:
            folder = os.path.join(root, name)
            if all(os.path.isdir(os.path.join(folder, part)) for part in ("text_encoder", "vae")):
                found[name] = folder
    return found
