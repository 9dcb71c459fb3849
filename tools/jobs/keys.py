"""A job's key: what it would make, said as one hash; the seed of a job without one; the name of its result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tools.jobs.digests import image_digest
from tools.jobs.graphs import graph_of
from tools.jobs.job import Job
from tools.jobs.models import Models
from tools.jobs.naming import file_name

UNKNOWN_SEED = -1


@dataclass(frozen=True)
class Keyed:
    """A job with all that follows from it. `file`: the result's path below the output folder."""

    job: Job
    key: str
    seed: int
    digests: tuple[str, ...]
    file: str

    @property
    def id(self) -> str:
        return self.job.id or self.file.rpartition(".")[0]

    def described(self, models: Models) -> dict[str, Any]:
        """The job's final inputs, as plain values."""
        job = self.job
        return {
            "id": self.id,
            "key": self.key,
            "kind": job.kind,
            "images": [str(image) for image in job.images],
            "prompt": job.prompt,
            "negative": job.negative,
            "seed": self.seed,
            "width": job.width,
            "height": job.height,
            "frames": job.frames,
            "mask": job.mask,
            "steps": job.steps,
            "cfg": job.cfg,
            "sampler": job.sampler,
            "scheduler": job.scheduler,
            "format": job.format,
            "file": self.file,
            "resize_mode": job.resize_mode,
            "model_name": models.model_name,
            "base_name": models.base_name,
            "weight_dtype": job.weight_dtype,
            "checkpoint": models.fingerprint,
        }


def keyed(job: Job, models: Models) -> Keyed:
    """The job with its key. Raises OSError for an image that cannot be read any more.

    The key is the sha256 of the graph, in which images are the digests of their bytes and the checkpoint is its
    fingerprint (its name, where there is no such file). The seed of a job without one follows from the same without
    the checkpoint: it is the same on a machine that does not have it.
    """
    digests = tuple(image_digest(image) for image in job.images)
    names = [f"sha256:{digest}" for digest in digests]
    seed = job.seed
    if seed is None:
        seed = int(_hashed(graph_of(job, names, "", "", UNKNOWN_SEED, ""))[:8], 16)
    graph = graph_of(job, names, models.fingerprint or models.model_name, models.base_for_key, seed, "")
    key = _hashed(graph)
    name = job.name or f"{file_name(job.prompt[:80])}-{key[:12]}"
    return Keyed(job, key, seed, digests, f"{name}.{job.format}")


def _hashed(graph: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(graph, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
