"""Images on disk: found, and looked at."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path


def find_image(name: str, folders: Sequence[Path]) -> Path | str:
    """The image of this name, in the first of the folders that has it, or what is wrong with it."""
    path = find(name, folders)
    if path is None:
        return f"there is no {name}{_most_alike(name, folders)}"
    if path.is_dir():
        return f"{name} is a folder; give one of the images in it"
    return problem_of(path) or path


def find(name: str, folders: Sequence[Path]) -> Path | None:
    """The absolute path of a file or folder, in the first of the folders that has it."""
    name = name.strip()
    found = next((folder / name for folder in folders if name and (folder / name).exists()), None)
    return None if found is None else Path(os.path.abspath(found))


def problem_of(path: Path) -> str | None:
    """What is wrong with an image file; its pixels are not read."""
    facts = path.stat()
    return _problem_of(str(path), facts.st_size, facts.st_mtime_ns)


@lru_cache(4096)
def _problem_of(path: str, size: int, time: int) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.size  # noqa: B018 (its header has been read)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        return f"{os.path.basename(path)} is no image that can be read ({problem}); give a PNG, JPEG or WebP file"
    return None


def _most_alike(name: str, folders: Sequence[Path]) -> str:
    """``; the nearest is …``, of the files beside where it was looked for."""
    for folder in folders:
        parent = (folder / name).parent
        if parent.is_dir():
            names = [entry.name for entry in os.scandir(parent)]
            found = difflib.get_close_matches(Path(name).name, names, 1, 0.5)
            if found:
                return f"; the nearest is {os.path.join(os.path.dirname(name), found[0])}"
    return f"; looked in {' and '.join(dict.fromkeys(map(str, folders)))}"
