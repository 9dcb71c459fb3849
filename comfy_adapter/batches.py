"""A folder or a table of pictures as jobs of a graph: below the host's input folder, in natural order."""

from __future__ import annotations

import csv
import difflib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import numpy
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..seine_model.picture_folders import ENDINGS, folders_in, images_in, is_below, is_text, prompt_of
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
    among: int = 2
    """Images that were found for the two ends."""


def find_source(source: str) -> Path:
    """The folder or table of this name below the host's input folder. Raises ValueError where there is none."""
    root = os.path.abspath(folder_paths.get_input_directory())
    path = os.path.abspath(os.path.join(root, source.strip()))
    if "\0" in source or not source.strip() or not is_below(path, root):
        raise ValueError(
            f"source: {source!r:.60} is no name below ComfyUI's input folder: put the folder or table there and write "
            "its name, such as pairs or pairs/rows.csv"
        )
    found = Path(path)
    if not os.path.exists(found):
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


def read_batch(source: str, prompt: str) -> list[Pictures | ValueError]:
    """The jobs of a folder or table, in order. prompt: for those that bring none; where it is empty, from their names.

    For what is no job the error that names its row or sub-folder stands in its place, so that it stops no other.
    """
    path = find_source(source)
    try:
        jobs = list(_jobs(path, prompt))
    except OSError as error:
        raise ValueError(f"source: {source} cannot be read ({error.strerror}): give ComfyUI the right to") from error
    if not jobs:
        raise ValueError(f"source: {source} has no images, nor sub-folders with two: put some there")
    return jobs


def job_at(jobs: list[Pictures | ValueError], index: int) -> Pictures:
    """Raises ValueError for what is no job, and beyond the last: a run too many makes nothing twice."""
    if index >= len(jobs):
        raise ValueError(
            f"index: it is {index}, and the last job of source is {len(jobs) - 1}: all are made; set index to 0 to "
            "begin anew"
        )
    job = jobs[index]
    if isinstance(job, ValueError):
        raise job
    if job.among > 2:
        notice(f"source: of {job.name} the first and the last of {job.among} images are taken")
    return job


def state_of(source: str) -> str:
    """Another one when a file that a job is made of was added, removed, renamed or changed, or another job is one."""
    facts = hashlib.sha256()
    for job in read_batch(source, ""):
        facts.update(f"{job}\n".encode("utf-8", "surrogateescape"))
        for each in (job.first, job.last) if isinstance(job, Pictures) else ():
            if each is not None:
                stat = each.stat()
                facts.update(f"{stat.st_size}\n{stat.st_mtime_ns}\n".encode())
    return facts.hexdigest()


def picture(path: Path) -> Tensor:
    """IMAGE ``[1, H, W, 3]``, or with 4 channels where it is transparent. Raises ValueError for what cannot be read."""
    try:
        with Image.open(path) as image:
            turned = _of_eight_bits(ImageOps.exif_transpose(image))
            transparent = "A" in turned.getbands() or "transparency" in turned.info
            pixels = numpy.array(turned.convert("RGBA" if transparent else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"source: {path.name} cannot be read as an image ({error}): replace it") from error
    return kept(torch.from_numpy(pixels).float().div(255).unsqueeze(0))


def _of_eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 bits of gray, which Pillow would cut off at 255, in eight."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((numpy.asarray(image).clip(0, 65535) // 257).astype(numpy.uint8))


def _jobs(path: Path, prompt: str) -> Iterator[Pictures | ValueError]:
    return _of_table(path, prompt) if path.is_file() else _of_folder(path, prompt)


def _tried(make: Callable[..., Pictures], *given: Any) -> Pictures | ValueError:
    """What is made, or the error that says why it is not."""
    try:
        return make(*given)
    except ValueError as error:
        return error


def _of_folder(folder: Path, prompt: str) -> Iterator[Pictures | ValueError]:
    images, _ = images_in(folder)
    for image in images:
        yield _tried(_clip, image, prompt)
    for sub in folders_in(folder):
        yield _tried(_transition, sub, prompt)


def _clip(image: Path, prompt: str) -> Pictures:
    return Pictures(image, None, prompt or prompt_of(_readable(image)), _readable(image).stem)


def _transition(folder: Path, prompt: str) -> Pictures:
    try:
        inside, _ = images_in(_readable(folder))
    except OSError as error:
        raise ValueError(
            f"source: {folder.name} cannot be read ({error.strerror}): give ComfyUI the right to"
        ) from error
    if len(inside) < 2:
        raise ValueError(
            f"source: {folder.name} has fewer than the two images that a transition wants ({len(inside)}): put them "
            "there, or take the sub-folder away"
        )
    return Pictures(inside[0], inside[-1], prompt or prompt_of(folder), folder.name, len(inside))


def _readable(path: Path) -> Path:
    """A path whose name is text. Raises ValueError."""
    if not is_text(path.name):
        raise ValueError(f"source: the name {path.name!a} is no UTF-8 text: rename it")
    return path


def _of_table(path: Path, prompt: str) -> Iterator[Pictures | ValueError]:
    try:
        for number, row in _rows(path):
            yield _tried(_of_row, path, number, row, prompt)
    except ValueError as error:  # from here on nothing can be read
        yield error


def _of_row(path: Path, number: int, row: Any, prompt: str) -> Pictures:
    where = f"source: {path.name}, row {number}"
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: it cannot be read: write {', '.join(KEYS)} with their values")
    for key in row:
        if key not in KEYS:
            near = (*difflib.get_close_matches(str(key), KEYS, 1, 0.5), ", ".join(KEYS))[0]
            raise ValueError(f"{where}: there is no key {key!r:.40}; the nearest is {near}: change it")
        if not is_text(str(row[key])):
            raise ValueError(f"{where}: {key} has half a character: write the whole one")
    images = [_image(path, name, where) for name in _names(row)]
    if len(images) not in (1, 2):
        raise ValueError(f"{where}: images has {len(images)} of them: give one, or the first and the last")
    first, last = images[0], images[1] if len(images) == 2 else None
    said = str(row.get("prompt") or "").strip() or prompt or prompt_of(first)
    return Pictures(first, last, said, str(row.get("name") or number))


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Rows by number. Raises ValueError where nothing more can be read."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                for number, row in enumerate(csv.DictReader(file, strict=True), 1):
                    # Cells beyond the last column come under the key None.
                    yield number, {key: value for key, value in row.items() if value or key is None}
                return
            for number, line in enumerate((line for line in file if line.strip()), 1):
                yield number, _read(line)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"source: {path.name} cannot be read on ({error}): write it anew as UTF-8 text") from error


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _names(row: Mapping[str, Any]) -> list[str]:
    given = row.get("images") or []
    names = given.replace("|", ";").split(";") if isinstance(given, str) else given
    return [str(name).strip() for name in names if str(name).strip()] if isinstance(names, list) else []


def _image(table: Path, name: str, where: str) -> Path:
    """An image beside the table, or below the input folder."""
    root = os.path.abspath(folder_paths.get_input_directory())
    for folder in (str(table.parent), root):
        path = os.path.abspath(os.path.join(folder, name))
        if is_below(path, root) and os.path.isfile(path):
            if not path.lower().endswith(ENDINGS):
                raise ValueError(f"{where}: {name} is no image: give a file that ends in {', '.join(ENDINGS)}")
            return Path(path)
    raise ValueError(f"{where}: there is no image {name!r:.60} beside the table or in the input folder: put it there")
