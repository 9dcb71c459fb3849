"""A folder as jobs: every image a clip, every sub-folder of two or more images a transition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seine_model.picture_folders import folders_in, images_in, is_text, prompt_of
from tools.jobs.found import Found, Note, Problem, problems
from tools.jobs.job import read_row
from tools.jobs.naming import file_name
from tools.jobs.pictures import problem_of

NO_NAME = "its name is no UTF-8 text, and a prompt is read from it; rename it"


def jobs_in_folder(folder: Path, settings: Mapping[str, Any], without: Path | None) -> Found:
    """One job for each image, and one for each sub-folder; without: a folder that is none of them.

    Prompts are read from file names, and of sub-folders from theirs, where the settings give none.
    """
    images, others = images_in(folder)
    if others:
        yield Note(folder.name, f"skipped, since they are no images: {listed(others)}")
    taken: set[str] = set()
    number = 0
    for image in images:
        number += 1
        where = f"{folder.name}/{image.name}"
        if not is_text(image.name):
            yield Problem(where, NO_NAME)
            continue
        name = _free(file_name(prompt_of(image)), image.name, taken)
        yield from _job(settings, [image], prompt_of(image), image.stem, name, where, number)
    for sub in pairs_in(folder, without):
        where = f"{folder.name}/{sub.name}"
        try:
            inside, others = images_in(sub)
        except OSError as problem:
            yield Problem(where, f"it cannot be read ({problem.strerror}); let it be read, or take it away")
            continue
        if not is_text(sub.name):
            yield Problem(where, NO_NAME)
            continue
        if len(inside) < 2:
            yield Note(where, f"skipped: a transition wants two images or more, and it has {len(inside)}")
            continue
        yield from taken_ends(where, inside, others)
        number += 1
        prompt = prompt_of(sub)
        name = _free(file_name(prompt), sub.name, taken)
        yield from _job(settings, [inside[0], inside[-1]], prompt, sub.name, name, where, number)


def pairs_in(folder: Path, without: Path | None) -> list[Path]:
    """The sub-folders in natural order, but for one."""
    return [sub for sub in folders_in(folder) if sub.resolve() != without]


def taken_ends(where: str, images: list[Path], others: list[str]) -> Found:
    """Notes of what is between first and last, or no image."""
    if len(images) > 2:
        between = listed([image.name for image in images[1:-1]])
        yield Note(where, f"from {images[0].name} to {images[-1].name}; between them, not used: {between}")
    if others:
        yield Note(where, f"skipped, since they are no images: {listed(others)}")


def listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _free(name: str, path: str, taken: set[str]) -> str:
    """Two images with one prompt have two files."""
    if name.casefold() in taken:
        name = f"{name}-{file_name(path)}"
    taken.add(name.casefold())
    return name


def _job(
    settings: Mapping[str, Any],
    images: list[Path],
    prompt: str,
    identity: str,
    name: str,
    where: str,
    number: int,
) -> Found:
    row = {"prompt": prompt, **settings, "images": [str(image) for image in images]}
    if "kind" not in settings:
        row["kind"] = "image_to_video" if len(images) == 1 else "transition"
    job = read_row(row, lambda path: problem_of(Path(path)) or Path(path), number)
    if isinstance(job, list):
        yield from problems(where, job)
    else:
        yield replace(job, id=identity, name=name)
