"""A folder or a table of pictures as jobs of a graph: below the host's input folder, in natural order."""

from __future__ import annotations

import csv
import difflib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import numpy
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..seine_model.picture_folders import ENDINGS, folders_in, images_in, prompt_of
from .intermediates import kept
from .progress_text import notice

KEYS = ("images", "prompt", "name")
TABLES = (".csv", ".jsonl")


@dataclass(frozen=True)
class Pictures:
    """What one clip is made of: its first picture, its last where there is one, and its prompt."""

    first: Path
    last: Path | None
    prompt: str
    name: str


def find_source(source: str) -> Path:
    """The folder or table of this name below the host's input folder. Raises ValueError where there is none."""
    root = os.path.abspath(folder_paths.get_input_directory())
    path = os.path.abspath(os.path.join(root, source.strip()))
    if "\0" in source or not source.strip() or os.path.commonpath([root, path]) != root:
        raise ValueError(
            f"source: {source!r:.60} is no name below ComfyUI's input folder: put the folder or table there and write "
            "its name, such as pairs or pairs/rows.csv"
        )
    found = Path(path)
    if not found.exists():
        names = [entry.name for entry in os.scandir(root) if entry.is_dir() or entry.name.endswith(TABLES)]
        alike = difflib.get_close_matches(source.strip(), names, 1, 0.5)
        near = f"; the nearest is {alike[0]}" if alike else ""
        raise ValueError(
            f"source: ComfyUI's input folder has no {source!r:.60}{near}: put it there, a folder with a sub-folder of "
            "two images for each transition, a folder of images, or a table"
        )
    if found.is_file() and found.suffix.lower() not in TABLES:
        raise ValueError(f"source: {found.name} is no folder, nor a table: give a folder, or a file in .csv or .jsonl")
    return found


def read_batch(source: str, prompt: str) -> list[Pictures]:
    """The jobs of a folder or table, in order. prompt: for those that bring none; where it is empty, from their names.

    Raises ValueError, naming the row or sub-folder, for what is no job.
    """
    path = find_source(source)
    jobs = list(_of_table(path, prompt) if path.is_file() else _of_folder(path, prompt))
    if not jobs:
        raise ValueError(f"source: {source} has no images, nor sub-folders with two: put some there")
    return jobs


def job_at(jobs: list[Pictures], index: int) -> Pictures:
    """Raises ValueError beyond the last: a run too many makes nothing twice."""
    if index >= len(jobs):
        raise ValueError(
            f"index: it is {index}, and the last job of source is {len(jobs) - 1}: all are made; set index to 0 to "
            "begin anew"
        )
    return jobs[index]


def state_of(source: str) -> str:
    """Another one when a file below the source was added, removed, renamed or changed."""
    path = find_source(source)
    places = sorted(path.rglob("*")) if path.is_dir() else [path, *_images_of_table(path)]
    facts = hashlib.sha256()
    for each in places:
        if each.is_file():
            stat = each.stat()
            facts.update(f"{each}\n{stat.st_size}\n{stat.st_mtime_ns}\n".encode())
    return facts.hexdigest()


def picture(path: Path) -> Tensor:
    """IMAGE ``[1, H, W, 3]``, or with 4 channels where it is transparent. Raises ValueError for what cannot be read."""
    try:
        with Image.open(path) as image:
            turned = ImageOps.exif_transpose(image)
            transparent = "A" in turned.getbands() or "transparency" in turned.info
            pixels = numpy.array(turned.convert("RGBA" if transparent else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"source: {path.name} cannot be read as an image ({error}): replace it") from error
    return kept(torch.from_numpy(pixels).float().div(255).unsqueeze(0))


def _of_folder(folder: Path, prompt: str) -> Iterator[Pictures]:
    images, _ = images_in(folder)
    for image in images:
        yield Pictures(image, None, prompt or prompt_of(image), image.stem)
    for sub in folders_in(folder):
        inside, _ = images_in(sub)
        if len(inside) < 2:
            raise ValueError(
                f"source: {sub.name} has fewer than the two images that a transition wants ({len(inside)}): put them "
                "there, or take the sub-folder away"
            )
        if len(inside) > 2:
            notice(f"source: of {sub.name} the first and the last of {len(inside)} images are taken")
        yield Pictures(inside[0], inside[-1], prompt or prompt_of(sub), sub.name)


def _of_table(path: Path, prompt: str) -> Iterator[Pictures]:
    for number, row in _rows(path):
        where = f"source: {path.name}, row {number}"
        if not isinstance(row, Mapping):
            raise ValueError(f"{where}: it cannot be read: write {', '.join(KEYS)} with their values")
        for key in row:
            if key not in KEYS:
                near = (*difflib.get_close_matches(str(key), KEYS, 1, 0.5), ", ".join(KEYS))[0]
                raise ValueError(f"{where}: there is no key {key!r:.40}; the nearest is {near}: change it")
        images = [_image(path, name, where) for name in _names(row)]
        if len(images) not in (1, 2):
            raise ValueError(f"{where}: images has {len(images)} of them: give one, or the first and the last")
        first, last = images[0], images[1] if len(images) == 2 else None
        said = str(row.get("prompt") or "").strip() or prompt or prompt_of(first)
        yield Pictures(first, last, said, str(row.get("name") or number))


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Rows by number. Raises ValueError for a file that is no table."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                for number, row in enumerate(csv.DictReader(file, strict=True), 1):
                    # Cells beyond the last column come under the key None.
                    yield number, {key: value for key, value in row.items() if value or key is None}
                return
            for number, line in enumerate((line for line in file if line.strip()), 1):
                yield number, json.loads(line)
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"source: {path.name} cannot be read on ({error}): write it anew as UTF-8 text") from error


def _names(row: Mapping[str, Any]) -> list[str]:
    given = row.get("images") or []
    names = given.replace("|", ";").split(";") if isinstance(given, str) else given
    return [str(name).strip() for name in names if str(name).strip()] if isinstance(names, list) else []


def _image(table: Path, name: str, where: str) -> Path:
    """An image beside the table, or below the input folder."""
    root = os.path.abspath(folder_paths.get_input_directory())
    for folder in (str(table.parent), root):
        path = os.path.abspath(os.path.join(folder, name))
        if os.path.commonpath([root, path]) == root and os.path.isfile(path):
            if not path.lower().endswith(ENDINGS):
                raise ValueError(f"{where}: {name} is no image: give a file that ends in {', '.join(ENDINGS)}")
            return Path(path)
    raise ValueError(f"{where}: there is no image {name!r:.60} beside the table or in the input folder: put it there")


def _images_of_table(path: Path) -> list[Path]:
    return [image for job in _of_table(path, "") for image in (job.first, job.last) if image is not None]
