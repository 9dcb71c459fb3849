"""The row that a request's body says: a JSON object, or a form whose fields are a row's keys and may bring images."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from tools.jobs.fields import FIELDS
from tools.jobs.job import Job, read_row
from tools.jobs.service.images import Images

MOST_ROW_BYTES = 1 << 20
MOST_IMAGES = 64
FORM = "multipart/form-data"


@dataclass
class Asked:
    """row: with the values for what it leaves out; sent: the images that came with it, held, by a name no file has;
    names: their own, where a prompt is read from, as they are kept under others."""

    row: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Path] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)


async def read_body(request: Request, images: Images, settings: dict[str, Any]) -> Asked:
    """What is asked for. Raises HTTPException with what is wrong; nothing is held then."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        row = _json(await request.body())
    elif kind == FORM:
        async with request.form(max_files=MOST_IMAGES, max_fields=256, max_part_size=MOST_ROW_BYTES) as form:
            asked = Asked()
            try:
                await run_in_threadpool(_read_form, form, images, asked)
            except BaseException as problem:
                images.release(asked.sent.values())
                if isinstance(problem, OSError):
                    raise HTTPException(507, disk_words(problem)) from problem
                raise
            return Asked(settings | asked.row, asked.sent, asked.names)
    else:
        raise HTTPException(415, f"Content-Type: {kind!r:.60} is not known; send application/json, or {FORM}")
    return Asked(settings | {key: value for key, value in row.items() if value is not None and value != ""})


def job_of(asked: Asked, images: Images) -> Job:
    """The job that is asked for, its images with their paths here. Raises HTTPException with all that is wrong."""
    job = read_row(
        asked.row,
        lambda name: asked.sent.get(name) or images.find(name),
        named=lambda path: asked.names.get(path, str(path)),
    )
    if isinstance(job, list):
        raise HTTPException(422, job)
    return job


def row_of(asked: Asked, job: Job) -> dict[str, Any]:
    """The row as it is read again after a restart, when nothing else tells an image's own name."""
    images = {"images": [str(path) for path in job.images]} if job.images else {}
    return asked.row | {"prompt": job.prompt} | images


def disk_words(problem: OSError) -> str:
    """What a disk refused, without where on this machine; where there is no number, it is in words already."""
    return str(problem) if problem.errno is None else f"the service's disk: {problem.strerror}; free space on it"


def _json(body: bytes) -> dict[str, Any]:
    if len(body) > MOST_ROW_BYTES:
        raise HTTPException(413, f"a row has {len(body)} bytes; send {MOST_ROW_BYTES} or fewer, and images in a form")
    try:
        row = json.loads(body)
        json.dumps(row, ensure_ascii=False).encode()  # half a character, as "\ud800", is none
    except (ValueError, RecursionError) as problem:
        raise HTTPException(422, [f"it is no JSON ({problem}); send one object of keys with values"]) from problem
    if not isinstance(row, dict):
        raise HTTPException(422, ["it is no row; send one object of keys with values"])
    return row


def _read_form(form: FormData, images: Images, asked: Asked) -> None:
    """Fields as in a table's cells; `images`, as often as there are, are files or paths."""
    paths: list[str] = []
    problems: list[str] = []
    for key, value in form.multi_items():
        if isinstance(value, UploadFile):
            name = value.filename or "image"
            found = images.keep(name, value.file) if key == "images" else "it is a file; send images in images"
            if isinstance(found, str):
                problems.append(f"{key}: {found}")
            else:
                paths.append(f"\0{len(paths)}")
                asked.sent[paths[-1]] = found
                asked.names[found] = name
        elif key == "images":
            paths += [part.strip() for part in re.split("[;|]", value) if part.strip()]
        elif key in asked.row and key in FIELDS:
            problems.append(f"{key}: it is there twice; give it once")
        elif value.strip():
            asked.row[key] = value
    if problems:
        raise HTTPException(422, problems)
    if paths:
        asked.row["images"] = paths
