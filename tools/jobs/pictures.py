"""Images on disk: found, and looked at."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from seine_model.picture_folders import is_text


def find_image(name: str, folders: Sequence[Path]) -> Path | str:
    """The image of this name, in the first of the folders that has it, or what is wrong with it."""
    if not is_text(os.path.basename(name)):
        return f"{name!r:.60} is no UTF-8 text; rename the file"
    path = find(name, folders)
    if path is None:
        return _unreachable(name, folders) or f"there is no {name}{_most_alike(name, folders)}"
    if path.is_dir():
        return f"{name} is a folder; give one of the images in it"
    return problem_of(path) or path


def find(name: str, folders: Sequence[Path]) -> Path | None:
    """The absolute path of a file or folder, in the first of the folders that has it."""
    name = name.strip()
    found = next((folder / name for folder in folders if name and os.path.exists(folder / name)), None)
    return None if found is None else Path(os.path.abspath(found))


def problem_of(path: Path) -> str | None:
    """What is wrong with an image file; its pixels are not read."""
    try:
        facts = path.stat()
    except OSError as problem:
        return f"{path.name!r:.60} cannot be read ({problem.strerror}); give an image that can be"
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


def _unreachable(name: str, folders: Sequence[Path]) -> str | None:
    """What keeps an image of this name from being looked for; None where nothing does."""
    for folder in folders:
        try:
            os.stat(folder / name.strip())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as problem:  # a text that is no name, a folder that is closed
            reason = problem.strerror if isinstance(problem, OSError) else problem
            return f"{name!r:.60} cannot be looked for ({reason}); give the path of an image that can be read"
    return None


def _most_alike(name: str, folders: Sequence[Path]) -> str:
    """``; the nearest is …``, of the files beside where it was looked for."""
    for folder in folders:
        parent = (folder / name).parent
        if os.access(parent, os.R_OK | os.X_OK) and parent.is_dir():
            names = [entry.name for entry in os.scandir(parent) if is_text(entry.name)]
            found = difflib.get_close_matches(Path(name).name, names, 1, 0.5)
            if found:
                return f"; the nearest is {os.path.join(os.path.dirname(name), found[0])}"
    return f"; looked in {' and '.join(dict.fromkeys(map(str, folders)))}"
