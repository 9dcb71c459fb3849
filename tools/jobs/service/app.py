"""The service's addresses, as a FastAPI application: clips are asked for, looked at, fetched and deleted."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from tools.jobs.fields import FIELDS
from tools.jobs.job import Job
from tools.jobs.keys import Keyed, keyed
from tools.jobs.models import Models
from tools.jobs.results import Results
from tools.jobs.service.bodies import FORM, disk_words, job_of, read_body, row_of
from tools.jobs.service.clip import MADE, Clip, Full, Make, Taken
from tools.jobs.service.clips import Clips
from tools.jobs.service.guard import Guard
from tools.jobs.service.images import Images
from tools.jobs.service.waiting import SERVICE, WaitingRows

PAGE = Path(__file__).with_name("page")
TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".webp": "image/webp", ".gif": "image/gif"}
MOST_LISTED = 500
ROW = {"type": "object", "properties": {key: {} for key in FIELDS}, "additionalProperties": False}
ROW_AND_FILES = {
    **ROW,
    "properties": {
        **{key: {"type": "string"} for key in FIELDS},
        "images": {"type": "array", "items": {"type": "string", "format": "binary"}},
    },
}
BODY = {
    "requestBody": {
        "required": True,
        "description": "A row as `tools/batch.py` reads it: JSON with images as paths below --root, or a form that "
        "brings its images.",
        "content": {
            "application/json": {"schema": ROW, "example": {"prompt": "a lake at dawn", "steps": 25, "seed": 1}},
            FORM: {"schema": ROW_AND_FILES},
        },
    }
}


@dataclass(frozen=True)
class Settings:
    """What the service allows. root: folder of images that requests may name; row: values for what rows leave out."""

    output: Path
    root: Path | None = None
    token: str | None = None
    most_waiting: int = 1000
    most_bytes: int = 64 << 20
    row: dict[str, Any] = field(default_factory=dict)


class ClipAnswer(BaseModel):
    """id: the job's key, the same for the same job; name: the row's own id; before: how many are made before it."""

    id: str
    name: str
    state: Literal["waiting", "making", "made", "failed"]
    before: int | None
    file: str
    kind: str
    prompt: str
    asked: float
    seconds: float | None
    error: str | None


class OneAnswer(ClipAnswer):
    inputs: dict[str, Any]


class ListAnswer(BaseModel):
    """The newest is first. after: what to ask for to see more."""

    counts: dict[str, int]
    most_waiting: int
    clips: list[ClipAnswer]
    after: str | None


class ErrorAnswer(BaseModel):
    detail: str | list[str]


REFUSED = {
    status: {"model": ErrorAnswer, "description": words}
    for status, words in {
        401: "no token, or a wrong one",
        409: "the row's id is that of another clip",
        413: "the body is too large",
        415: "the body is neither JSON nor a form",
        422: "the row is wrong; each problem by key with the nearest right value",
        503: "as many wait as may; Retry-After says for how long",
        507: "the disk is full",
    }.items()
}
MISSING = {404: {"model": ErrorAnswer, "description": "there is no such clip"}}


def build_app(settings: Settings, models: Models, make: Make, places: int) -> tuple[Guard, Clips]:
    """The application, and its clips, which begin with its lifespan. make: see `Make`; places: see `Clips`."""
    results, service = Results(settings.output), Results(settings.output).folder / SERVICE
    images = Images(settings.root, service / "images")
    clips = Clips(results, models, images, WaitingRows(service / "waiting"), make, places, settings.most_waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await clips.start()
        yield
        await clips.stop()

    app = FastAPI(
        title="SEINE clips",
        version="1",
        description="Rows become clips: asked for, looked at, fetched and deleted.",
        docs_url=None,  # FastAPI's asks another site for its scripts
        redoc_url=None,
        lifespan=lifespan,
        # The guard has asked for it already: this is for the description, and for who tries things there.
        dependencies=[Depends(HTTPBearer(auto_error=False))] if settings.token else None,
    )
    app.openapi_version = "3.0.3"  # the newest that the page of swagger-ui-bundle shows

    @app.post("/v1/clips", status_code=202, response_model=ClipAnswer, responses=REFUSED, openapi_extra=BODY)
    async def ask_for_a_clip(request: Request, response: Response) -> ClipAnswer:
        """Ask for a clip. Asking again for the same gives the same id, and makes nothing twice."""
        asked = await read_body(request, images, settings.row)
        held = list(asked.sent.values())
        try:
            job = await run_in_threadpool(job_of, asked, images)
            item = await run_in_threadpool(_keyed, job, models)
            clip, new = clips.ask(item, row_of(asked, job), held)
            held = [] if new else held
        except Full as problem:
            raise HTTPException(503, str(problem), {"Retry-After": str(problem.seconds)}) from problem
        except Taken as problem:
            raise HTTPException(409, str(problem)) from problem
        except OSError as problem:
            raise HTTPException(507, disk_words(problem)) from problem
        finally:
            images.release(held)
        response.headers["Location"] = f"/v1/clips/{clip.key}"
        return ClipAnswer(**_facts(clip, clips))

    @app.get("/v1/clips", response_model=ListAnswer, responses={401: REFUSED[401]})
    async def list_clips(
        state: Literal["waiting", "making", "made", "failed"] | None = None,
        limit: int = Query(100, ge=1, le=MOST_LISTED),
        after: str | None = None,
    ) -> ListAnswer:
        """The queue and the clips."""
        found = list(itertools.islice(clips.newest_first(state, after), limit + 1))
        shown, positions = found[:limit], clips.positions()
        return ListAnswer(
            counts=clips.counts(),
            most_waiting=settings.most_waiting,
            clips=[ClipAnswer(**_facts(clip, clips, positions)) for clip in shown],
            after=shown[-1].key if len(found) > limit else None,
        )

    @app.get("/v1/clips/{key}", response_model=OneAnswer, responses={401: REFUSED[401], **MISSING})
    async def look_at_a_clip(key: str) -> OneAnswer:
        """One clip with its final inputs."""
        clip = _clip(clips, key)
        return OneAnswer(**_facts(clip, clips), inputs=await run_in_threadpool(clips.facts, clip))

    @app.delete("/v1/clips/{key}", status_code=204, responses={401: REFUSED[401], **MISSING})
    async def delete_a_clip(key: str) -> None:
        """Take a clip out of the queue, stop its making, or remove its file."""
        if not clips.delete(key):
            raise HTTPException(404, f"{key!r:.70}: there is no such clip")

    @app.get("/v1/clips/{key}/file", response_class=FileResponse, responses={401: REFUSED[401], **MISSING})
    async def fetch_the_file(key: str) -> FileResponse:
        """The finished clip. 409 while it is not."""
        clip = _clip(clips, key)
        path = results.folder / clip.file
        if clip.state != MADE:
            raise HTTPException(409, f"it is {clip.state}, and has no file yet")
        if not path.is_file():
            raise HTTPException(404, f"{clip.file}: it is gone; ask for the clip again")
        return FileResponse(path, media_type=TYPES[path.suffix], filename=path.name, content_disposition_type="inline")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(PAGE / "docs.html")

    app.mount("/swagger", StaticFiles(directory=_swagger()))
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return Guard(app, settings.token, settings.most_bytes), clips


def _keyed(job: Job, models: Models) -> Keyed:
    try:
        return keyed(job, models)
    except OSError as problem:
        raise HTTPException(
            422, [f"images: they cannot be read any more ({problem.strerror}); put them back"]
        ) from problem


def _clip(clips: Clips, key: str) -> Clip:
    clip = clips.get(key)
    if clip is None:
        raise HTTPException(404, f"{key!r:.70}: there is no such clip")
    return clip


def _facts(clip: Clip, clips: Clips, positions: dict[str, int] | None = None) -> dict[str, Any]:
    """What of a clip is answered."""
    before = (clips.positions() if positions is None else positions).get(clip.key)
    names = ("name", "state", "file", "kind", "prompt", "asked", "seconds", "error")
    return {"id": clip.key, "before": before} | {name: getattr(clip, name) for name in names}


def _swagger() -> Path:
    """The scripts of the page that documents the service, from their package: no other site is asked for them."""
    package = importlib.util.find_spec("swagger_ui_bundle")
    (folder,) = Path(package.origin).parent.glob("vendor/swagger-ui-*")
    return folder
