"""Jobs on Ray: an actor is one warm ComfyUI, and takes the next job when it has made one.

Ray restarts actors, repeats what they were at, and ends them with the driver. Results and their sidecars are written by
the actors into one folder that all machines see, so that a job that is repeated is never made twice.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.hosting import hosts
from tools.hosting.bars import bar
from tools.hosting.environment import SetupError, say
from tools.hosting.server import REPOSITORY, ServerError
from tools.jobs.keys import Keyed
from tools.jobs.making import Jobs, Outcome, Tally, look, make_one, to_make, write_down
from tools.jobs.models import Models
from tools.jobs.results import WINDOWS, Results
from tools.jobs.warm_host import WarmHost
from tools.jobs.working_folder import working_folder

MOST_RETRIES = 2
"""Of a job whose actor has died, by Ray: three attempts in all."""
START_SECONDS = 600


@dataclass(frozen=True)
class Cluster:
    """Where to run. address: of a running Ray, else one on this machine is started and ended."""

    address: str | None
    hosts_per_gpu: int
    host: str
    cpu: bool


class Worker:
    """One ComfyUI; lives in an actor's process, and ComfyUI ends with it."""

    def __init__(self, output: str, models: Models, cluster: Cluster, threads: int | None):
        # Ray allows an actor one thread, and ComfyUI would inherit that.
        os.environ.pop("OMP_NUM_THREADS", None)
        if threads:
            os.environ["OMP_NUM_THREADS"] = str(threads)
        self._results, self._models = Results(Path(output)), models
        host, windows = hosts.find(cluster.host), self._results.folder / WINDOWS
        self._held = ExitStack()
        base = self._held.enter_context(working_folder()) / "base"
        self._warm = self._held.enter_context(WarmHost(host, base, models, cluster.cpu, windows))
        self._versions = self._warm.versions()

    def facts(self) -> dict[str, Any]:
        """What the driver writes down of it."""
        return {"process": self._warm.process_id, "actor": os.getpid(), "node": platform.node(), **self._versions}

    def make(self, item: Keyed) -> tuple[Outcome, dict[str, Any]]:
        """Make a job, unless that was done before the actor was last restarted."""
        if self._results.done(item):
            return Outcome(True), self.facts()
        outcome = make_one(item, self._warm, self._results, self._models, self._versions)
        return outcome, self.facts()

    def interrupt(self) -> None:
        """Cancel the job that is being made, from another thread."""
        self._warm.interrupt()

    def close(self) -> None:
        self._held.close()


class Claim:
    """Its name is taken while a driver writes to a folder."""

    def holds(self) -> bool:
        return True


def make_all(jobs: Jobs, results: Results, models: Models, cluster: Cluster, tell: Callable[[Any], int]) -> Tally:
    """As `local.make_all`, by as many hosts as the cluster has GPUs (or machines) times `hosts_per_gpu`."""
    with results.claimed():
        tally = look(jobs, results, tell)
        if tally.there < tally.jobs:
            if missing := models.missing():
                raise SetupError(missing)
            _on_cluster(jobs, results, models, cluster, tally)
        results.event("finished", **vars(tally))
        if tally.complete:
            shutil.rmtree(results.folder / WINDOWS, ignore_errors=True)
    return tally


def _on_cluster(jobs: Jobs, results: Results, models: Models, cluster: Cluster, tally: Tally) -> None:
    import ray
    from ray.exceptions import RayError

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings: dict[str, Any] = {"include_dashboard": False} if cluster.address is None else {"address": cluster.address}
    say(f"connecting to Ray at {cluster.address}" if cluster.address else "starting Ray on this machine")
    try:
        runtime = {"env_vars": {"PYTHONPATH": str(REPOSITORY)}}
        ray.init(log_to_driver=False, logging_level="error", runtime_env=runtime, **settings)
    except (ConnectionError, RuntimeError, ValueError) as problem:
        raise SetupError(
            f"--address: Ray cannot be reached or started ({problem}): start one, or leave it out"
        ) from problem
    try:
        claim = _claim(ray, results)
        actors = _actors(ray, results, models, cluster)
        say(f"starting {len(actors)} hosts")
        try:
            for facts in ray.get([actor.facts.remote() for actor in actors], timeout=START_SECONDS):
                results.event("host", **facts)
            _run(ray, actors, jobs, results, tally)
            ray.get([actor.close.remote() for actor in actors], timeout=60)
        except RayError as problem:
            raise ServerError(f"the hosts on Ray are gone: {_last_line(problem)}") from problem
        finally:
            for actor in [*actors, claim]:
                ray.kill(actor)
    finally:
        ray.shutdown()


def _claim(ray: Any, results: Results) -> Any:
    """Bars another driver of this cluster from the same folder, from whichever machine it comes."""
    name = f"seine-batch-{hashlib.sha256(str(results.folder).encode()).hexdigest()[:16]}"
    try:
        claim = ray.remote(Claim).options(name=name, num_cpus=0, namespace="seine").remote()
        ray.get(claim.holds.remote())
    except ValueError as problem:
        raise SetupError(f"--output: another run on this Ray writes to {results.folder}: wait for it") from problem
    return claim


def _actors(ray: Any, results: Results, models: Models, cluster: Cluster) -> list[Any]:
    """As many as there is room for: by GPUs, else by machines."""
    gpus = 0 if cluster.cpu else int(ray.cluster_resources().get("GPU", 0))
    places = gpus or sum(node["Alive"] for node in ray.nodes())
    share = {"num_gpus": 1 / cluster.hosts_per_gpu} if gpus else {}
    cluster = cluster if gpus else Cluster(cluster.address, cluster.hosts_per_gpu, cluster.host, cpu=True)
    threads = None if gpus else max(1, (os.cpu_count() or 1) // cluster.hosts_per_gpu)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": MOST_RETRIES, "scheduling_strategy": "SPREAD"}
    worker = ray.remote(Worker).options(**options, **share)
    arguments = str(results.folder), models, cluster, threads
    return [worker.remote(*arguments) for _ in range(places * cluster.hosts_per_gpu)]


def _run(ray: Any, actors: list[Any], jobs: Jobs, results: Results, tally: Tally) -> None:
    """Give each actor its next job when it has made one; rows are read as they are needed."""
    from ray.exceptions import RayActorError

    free, flying = list(actors), {}
    known = {facts["process"] for facts in ray.get([actor.facts.remote() for actor in actors])}
    started = time.monotonic()
    with bar("clips", tally.jobs, tally.there, unit="clip") as progress:

        def take_one() -> None:
            (done,), _ = ray.wait(list(flying), num_returns=1)
            actor, item = flying.pop(done)
            try:
                outcome, facts = ray.get(done)
                if facts["process"] not in known:  # Ray has restarted it, or it has restarted its host
                    known.add(facts["process"])
                    results.event("host", **facts)
            except RayActorError as problem:
                outcome = Outcome(False, attempts=MOST_RETRIES + 1, error=_last_line(problem), cause="host")
            write_down(item, outcome, results, tally)
            free.append(actor)
            tally.seconds = time.monotonic() - started
            progress.set_postfix_str(tally.rate, refresh=False)
            progress.update(outcome.made)

        in_flight: set[str] = set()
        for item in to_make(jobs, results):
            if item.file in in_flight:  # the same row twice
                tally.there += 1
                continue
            if not free:
                take_one()
                in_flight = {other.file for _, other in flying.values()}
            results.event("started", id=item.id, key=item.key)
            actor = free.pop(0)
            flying[actor.make.remote(item)] = actor, item
            in_flight.add(item.file)
        while flying:
            take_one()


def _last_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return lines[-1]
