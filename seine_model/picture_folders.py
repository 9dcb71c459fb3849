"""Folders of pictures: in natural order, in pairs, and the prompts that the official code reads from their names."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from types import ModuleType

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
IGNORED = ("__MACOSX",)
_DIGITS = re.compile(r"(\d+)")


def natural(name: str) -> list[tuple[int, int | str]]:
    """A key to sort names by in which 9 comes before 10."""
    parts = _DIGITS.split(name)
    return [(0, int(part)) if index % 2 else (1, part.casefold()) for index, part in enumerate(parts)] + [(2, name)]


def prompt_of(path: str | PurePath) -> str:
    """The prompt that the official code reads from a path: its last part up to the first dot, `_` as space."""
    last = str(path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    return last.partition(".")[0].replace("_", " ")


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: not half a character, as JSON can say, nor bytes of a file's name in another
    encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_below(path: str, folder: str, paths: ModuleType = os.path) -> bool:
    """Whether an absolute path is the folder, or in it. paths: the rules of a system, as `ntpath`."""
    try:
        return paths.commonpath([folder, path]) == paths.commonpath([folder])
    except ValueError:  # on another drive
        return False


def images_in(folder: Path) -> tuple[list[Path], list[str]]:
    """The image files of a folder in natural order, and the names of all other files in it."""
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: natural(path.name))
    images = [path for path in files if path.suffix.lower() in ENDINGS and not path.name.startswith(".")]
    taken = set(images)
    return images, [path.name for path in files if path not in taken]


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders in natural order, without hidden ones."""
    shown = [sub for sub in folder.iterdir() if not sub.name.startswith(".") and sub.name not in IGNORED]
    return sorted(filter(Path.is_dir, shown), key=lambda sub: natural(sub.name))
