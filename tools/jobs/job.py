"""One clip to make, and the reading of it from a row of plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seine_model.picture_folders import prompt_of
from seine_model.story import parse_story
from tools.hosting import workflow_graph
from tools.jobs.fields import (
    FEWEST_STEPS,
    FIELDS,
    FIRST_CLIP,
    FORMATS,
    FPS,
    MOST_SEED,
    RESIZE_MODES,
    SAMPLERS,
    SCHEDULERS,
    TEMPLATES,
)
from tools.jobs.frame_masks import mask_problem
from tools.jobs.naming import file_name
from tools.jobs.values import Values, shown


@dataclass(frozen=True)
class Job:
    """A clip to make. `seed` None: one is derived from all the rest. `name`: of the result below the output folder,
    without its ending; None: made from the prompt and the job's key.
    """

    id: str | None
    kind: str
    images: tuple[Path, ...]
    prompt: str
    negative: str
    seed: int | None
    width: int
    height: int
    frames: int
    steps: int
    cfg: float
    sampler: str
    scheduler: str = "seine"
    format: str = "mp4"
    mask: str = "all"
    resize_mode: str = "crop"
    weight_dtype: str = "default"
    name: str | None = None
    number: int | None = None
    """Its row."""


def defaults_of(kind: str) -> dict[str, Any]:
    """The inputs of the kind's workflow by name; frames are those of the whole film."""
    graph = workflow_graph.load(TEMPLATES[kind])
    inputs: dict[str, Any] = {}
    for node in graph.values():
        inputs |= {name: value for name, value in node["inputs"].items() if not isinstance(value, list)}
    if kind in ("extend", "loop"):
        inputs["frames"] += FIRST_CLIP
    return inputs


DEFAULTS = {kind: defaults_of(kind) for kind in TEMPLATES}


def read_row(
    row: Mapping[str, Any],
    find: Callable[[str], Path | str],
    number: int | None = None,
    named: Callable[[Path], str] = str,
) -> Job | list[str]:
    """The job of a row, or what is wrong with it, by key.

    find: the path of an image that the row names, or the words for what is wrong with that; named: the name of an
    image, for a row whose prompt is read from it.
    """
    values = Values(row)
    values.only(FIELDS)
    images = _images(values, find)
    kind = values.choice("kind", _kind_of(len(images)), TEMPLATES)
    default = DEFAULTS[kind]
    prompt = values.text("prompt").strip() or (
        prompt_of(named(images[0])) if len(images) == 1 and kind != "story" else ""
    )
    # An image that is wrong is said once, not again as a prompt that could not be read from its name.
    if not prompt and not values.problems:
        values.wrong("prompt", "it is missing; say what the clip shows")
    frames = _frames(values, kind, prompt, len(images))
    mask = values.text("mask").strip().lower() or {"image_to_video": "first1", "transition": "onelast1"}.get(kind, "")
    if kind not in ("image_to_video", "transition", "text_to_video"):
        if mask:
            values.wrong("mask", f"a job of kind {kind} has its own; leave it out")
        mask = "first1" if kind != "story" else "all"
    mask = mask or "all"
    # What is wrong with the images is said once.
    if "images" not in {problem.partition(":")[0] for problem in values.problems}:
        _check_images(values, kind, mask, frames, len(images))
    scheduler = values.choice("scheduler", default["scheduler"], SCHEDULERS)
    identity = values.text("id").strip() or None
    job = Job(
        id=identity,
        kind=kind,
        images=images,
        prompt=prompt,
        negative=values.text("negative"),
        seed=values.whole("seed", None, 0, MOST_SEED),
        width=_side(values, "width", default["width"]),
        height=_side(values, "height", default["height"]),
        frames=frames,
        steps=values.whole("steps", default["steps"], FEWEST_STEPS.get(scheduler, 1), 1000),
        cfg=values.number("cfg", default["cfg"], 0, 100),
        sampler=values.choice("sampler", default["sampler_name"], SAMPLERS),
        scheduler=scheduler,
        format=values.choice("format", FORMATS[0], FORMATS),
        mask=mask,
        resize_mode=values.choice("resize_mode", default["resize_mode"], RESIZE_MODES),
        name=None if identity is None else file_name(identity),
        number=number,
    )
    return values.problems or job


def _kind_of(images: int) -> str:
    return ("text_to_video", "image_to_video", "transition")[min(images, 2)]


def _images(values: Values, find: Callable[[str], Path | str]) -> tuple[Path, ...]:
    """`images`: a list, or text with ; or | between the paths."""
    if not values.has("images"):
        return ()
    given = values.raw("images")
    if isinstance(given, str):
        given = [part.strip() for part in given.replace("|", ";").split(";") if part.strip()]
    if not isinstance(given, list) or not all(isinstance(path, str) for path in given):
        values.wrong("images", f"{shown(given)} is no list of paths; write them with ; between, or as a list of texts")
        return ()
    found = []
    for path in given:
        image = find(path)
        if isinstance(image, str):
            values.wrong("images", image)
        else:
            found.append(image)
    return tuple(found)


def _check_images(values: Values, kind: str, mask: str, frames: int, count: int) -> None:
    """Whether there are as many as the kind, or the mask, wants."""
    if kind == "text_to_video":
        if count:
            values.wrong("images", f"text_to_video takes none, not {count}; the nearest kind is {_kind_of(count)}")
        if mask != "all":
            values.wrong("mask", f"{mask} keeps frames, and text_to_video has none to keep; the nearest is all")
    elif kind in ("extend", "loop") and count != 1:
        values.wrong("images", f"{kind} begins with one image, not {count}; give one")
    elif kind in ("image_to_video", "transition"):
        wanted = {"image_to_video": (1, "one image"), "transition": (2, "two images")}[kind]
        if not values.has("mask") and count != wanted[0]:
            other = "; with more of them say in mask which frames they are, such as 0, 7, 15" if count > 2 else ""
            near = "" if count > 2 else f"; the nearest kind is {_kind_of(count)}"
            values.wrong("images", f"{kind} wants {wanted[1]}, not {count}{other}{near}")
        elif problem := mask_problem(mask, frames, count):
            values.wrong("mask", problem)


def _frames(values: Values, kind: str, prompt: str, images: int) -> int:
    default = DEFAULTS[kind]
    if kind != "story":
        films = kind in ("extend", "loop")
        low, high = (FIRST_CLIP + 1, 100_000) if films else (1, 4096)
        return values.whole("frames", default["frames"], low, high)
    if not prompt:
        return 0
    try:
        segments = parse_story(prompt, FPS, images)
    except ValueError as problem:
        values.wrong("prompt", str(problem))
        return 0
    frames = segments[-1].start + segments[-1].frames
    if values.whole("frames", frames, 1, 100_000) != frames:
        values.wrong("frames", f"the lines of the story say its length; the nearest right one is {frames}")
    return frames


def _side(values: Values, key: str, default: int) -> int:
    side = values.whole(key, default, 8, 8192)
    if side % 8:
        values.wrong(key, f"{side} is not a multiple of 8; the nearest right one is {max(8, round(side / 8) * 8)}")
    return side
