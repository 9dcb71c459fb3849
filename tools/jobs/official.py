"""The official code's configuration files, key by key, as jobs.

What each key does there and becomes here is a table in docs/batches.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seine_model.picture_folders import images_in, is_text, prompt_of
from tools.jobs.fields import FEWEST_STEPS, MOST_SEED
from tools.jobs.folders import NO_NAME, listed, pairs_in, taken_ends
from tools.jobs.found import Found, Note, Problem, problems
from tools.jobs.frame_masks import mask_problem, read_mask
from tools.jobs.job import Job
from tools.jobs.naming import file_name
from tools.jobs.pictures import find, find_image, problem_of
from tools.jobs.values import Values, nearest, shown

KEYS = (
    *("ckpt", "pretrained_model_path", "input_path", "save_path", "model", "num_frames", "image_size", "use_fp16"),
    *("enable_xformers_memory_efficient_attention", "seed", "run_time", "cfg_scale", "sample_method"),
    *("num_sampling_steps", "text_prompt", "additional_prompt", "negative_prompt", "do_classifier_free_guidance"),
    *("mask_type", "use_mask"),
)
SAMPLERS = {"ddpm": "seine_ddpm", "ddim": "ddim"}
SIZES = {"first": (240, 560), "other": (512, 512)}
"""Height and width of the two published files: the one of first1, and that of onelast1."""


@dataclass(frozen=True)
class Official:
    """A configuration as read: its values, and what of it concerns the whole run."""

    values: Mapping[str, Any]

    def path(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) and value.strip() else None


def read_official(path: Path, overrides: Mapping[str, Any]) -> Official | str:
    """A configuration by OmegaConf's rules, or what is wrong with the file; overrides: of single keys."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        read = OmegaConf.load(path)
        read = OmegaConf.merge(read, dict(overrides))
        values = OmegaConf.to_container(read, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, OSError) as problem:
        return f"it cannot be read: {problem}"
    return Official(values)


def jobs_of_official(path: Path, config: Official, folders: Sequence[Path], without: Path | None) -> Found:
    """The job of a configuration; several, where its input_path is a folder of images or of pairs of them."""
    values = Values(config.values)
    notes: list[str] = []
    job = _settings(values, notes)
    given = values.text("input_path").strip()
    source = find(given.rstrip("/\\") or given, folders) if given else None
    if given and source is None:
        values.wrong("input_path", str(find_image(given, folders)))
    elif source is None and job.mask != "all":
        values.wrong("input_path", f"it is missing, and mask_type {job.mask} keeps images; give a file or a folder")
    prompt = _first(values)
    if prompt is None and source is None and job.mask == "all":
        values.wrong("text_prompt", "it is empty, and there is no input_path to read one from; write one")
    yield from (Note(path.name, note) for note in notes)
    if values.problems:
        yield from problems(path.name, values.problems)
        return
    extra = values.text("additional_prompt")
    number = 0
    for item in _inputs(job.mask, source, path.name, without):
        if isinstance(item, Note | Problem):
            yield item
            continue
        images, read_from, name = item
        wrong = mask_problem(job.mask, job.frames, len(images))
        if wrong:
            yield Problem(path.name, f"mask_type: {wrong}")
            continue
        number += 1
        said = prompt if prompt is not None else prompt_of(read_from)
        base = file_name(said)
        yield replace(
            job,
            id=path.stem if name is None else f"{path.stem}/{name}",
            images=tuple(images),
            prompt=said + extra,
            # Of many clips with one prompt each has a folder of its own.
            name=base if name is None or prompt is None else f"{file_name(name)}/{base}",
            number=number,
        )


def _settings(values: Values, notes: list[str]) -> Job:
    """All but images and prompt; what is wrong is noted in `values`."""
    values.only(KEYS)
    for key in ("ckpt", "pretrained_model_path", "save_path"):
        values.text(key)
    model = values.text("model", "UNet")
    if "unet" not in model.lower() and "tav" not in model.lower():
        values.wrong("model", f"{shown(model)} is not known; the nearest right one is UNet")
    if not values.flag("use_mask", True):
        values.wrong("use_mask", "false is for a UNet of 4 channels, as LaVie's; set it to true, or load LaVie's base")
    values.flag("enable_xformers_memory_efficient_attention", False)  # the host chooses attention
    frames = values.whole("num_frames", 16, 1, 4096)
    mask = _mask(values, frames)
    height, width = _size(values, SIZES["first" if mask.startswith("first") else "other"], notes)
    extra = values.text("additional_prompt")
    if extra and not extra[0].isspace() and extra[0] not in ",.;:!?":
        notes.append("additional_prompt: it follows the prompt without a space, as in the official code; begin it so")
    guided = values.flag("do_classifier_free_guidance", True)
    return Job(
        id=None,
        kind={"all": "text_to_video"}.get(mask, "transition" if mask.startswith("onelast") else "image_to_video"),
        images=(),
        prompt="",
        negative=values.text("negative_prompt"),
        seed=values.whole("seed", None, 0, MOST_SEED),
        width=width,
        height=height,
        frames=frames,
        steps=_steps(values),
        cfg=values.number("cfg_scale", 8.0, 0, 100) if guided else 1.0,
        sampler=SAMPLERS[values.choice("sample_method", "ddpm", SAMPLERS)],
        mask=mask,
        resize_mode="stretch",
        weight_dtype="fp16" if values.flag("use_fp16", True) else "fp32",
    )


def _mask(values: Values, frames: int) -> str:
    given = values.text("mask_type").strip()
    mask = given or "first1"
    if not re.fullmatch(r"all|(?:first|onelast)\d+", mask):
        near = nearest(re.sub(r"\d+$", "", mask), ("first", "onelast", "all"))
        near = f"{near}1" if near in ("first", "onelast") else near
        values.wrong("mask_type", f"{shown(mask)} is not known; the nearest right one is {near}")
        return "first1"
    read = read_mask(mask, frames)
    if isinstance(read, str):
        values.wrong("mask_type", read)
    return mask


def _size(values: Values, default: tuple[int, int], notes: list[str]) -> tuple[int, int]:
    """Height and width, floored to multiples of 8 as the VAE does."""
    size = values.raw("image_size")
    if size is None:
        return default
    whole = isinstance(size, list) and all(isinstance(side, int) and not isinstance(side, bool) for side in size)
    if not whole or len(size) != 2:
        right = list(size[:2]) if whole and len(size) > 2 else [*default]
        values.wrong("image_size", f"{shown(size)} is not [height, width] in pixels; the nearest right one is {right}")
        return default
    for side in size:
        if not 8 <= side <= 8192:
            values.wrong("image_size", f"{side} is out of range; the nearest right one is {min(max(side, 8), 8192)}")
            return default
    floored = [side // 8 * 8 for side in size]
    if floored != size:
        notes.append(f"image_size: {size} becomes {floored}, as in the official code: sides are multiples of 8")
    return floored[0], floored[1]


def _steps(values: Values) -> int:
    """The number of steps; the official strings that space them otherwise are refused."""
    given = values.raw("num_sampling_steps")
    if isinstance(given, str) and (re.fullmatch(r"ddim\d+", given.strip()) or "," in given):
        near = sum(map(int, re.findall(r"\d+", given)))
        spaced = "spaces the steps in a way that the scheduler seine does not have"
        values.wrong("num_sampling_steps", f"{given!r:.40} {spaced}; the nearest right one is {near}, evenly spaced")
        return 250
    return values.whole("num_sampling_steps", 250, FEWEST_STEPS["seine"], 1000)


def _first(values: Values) -> str | None:
    """The prompt of text_prompt: the first of a list, or a text; None where it is empty."""
    given = values.raw("text_prompt")
    if isinstance(given, list):
        given = given[0] if given else None
    if given is None or given == "":
        return None
    if isinstance(given, bool | dict | list):
        values.wrong("text_prompt", f"{shown(given)} is not text; write a list with one text in it")
        return None
    if not is_text(str(given)):
        values.wrong("text_prompt", f"{shown(given)} has half a character; give the whole one")
        return None
    return str(given)


Inputs = tuple[list[Path], str, str | None]
"""Images, what the prompt is read from, and the name of one among several."""


def _inputs(mask: str, source: Path | None, where: str, without: Path | None) -> Any:
    if mask == "all" or source is None:
        yield [], "" if source is None else source.name, None
        return
    if source.is_file():
        yield from _of_file(mask, source, where)
        return
    images, others = images_in(source)
    # The official code makes one clip of a folder; ours takes a folder of clips too.
    if mask.startswith("first"):
        if others:
            yield Note(where, f"input_path: skipped, since they are no images: {listed(others)}")
        if not images:
            yield Problem(where, "input_path: the folder has no images; give one that has, or an image")
        for image in images:
            yield from _looked_at(where, [image], image.name, image.stem if len(images) > 1 else None)
        return
    subs = [] if images else pairs_in(source, without)
    if not images and not subs:
        yield Problem(where, "input_path: the folder has no images; onelast wants the first and last in it: give both")
    for sub in subs or [source]:
        try:
            inside, others = images_in(sub)
        except OSError as problem:
            yield Problem(where, f"input_path: {sub.name} cannot be read ({problem.strerror}); let it be read")
            continue
        if len(inside) < 2:
            what = f"input_path: {sub.name} has {len(inside)} image{'s' * (len(inside) != 1)}; a transition wants two"
            yield Problem(where, what)
            continue
        yield from taken_ends(f"{where}, {sub.name}", inside, others)
        yield from _looked_at(where, [inside[0], inside[-1]], sub.name, sub.name if subs else None)


def _of_file(mask: str, source: Path, where: str) -> Any:
    if mask.startswith("onelast"):
        near = mask.replace("onelast", "first")
        what = f"mask_type: {mask} wants a folder of images, and input_path is a file; the nearest right one is {near}"
        yield Problem(where, what)
        return
    yield from _looked_at(where, [source], source.name, None)


def _looked_at(where: str, images: list[Path], read_from: str, name: str | None) -> Any:
    wrong = next(filter(None, map(problem_of, images)), None)
    if not is_text(read_from):
        wrong = f"{read_from}: {NO_NAME}"
    yield Problem(where, f"input_path: {wrong}") if wrong else (images, read_from, name)
