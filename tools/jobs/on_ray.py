"""Jobs on Ray: an actor is one warm ComfyUI, and is dealt the next job when it has made one (`dealing`).

Ray restarts actors, and ends them with the driver. Results and their sidecars are written by the actors into one folder
that all machines see, so that a job that is repeated is never made twice.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tools.hosting import hosts
from tools.hosting.environment import SetupError, say
from tools.hosting.server import REPOSITORY, ServerError
from tools.jobs.dealing import Dealer, last_line
from tools.jobs.keys import Keyed
from tools.jobs.making import Jobs, Outcome, Tally, look, make_one, to_make
from tools.jobs.meters import Meters
from tools.jobs.models import Models
from tools.jobs.results import WINDOWS, Results
from tools.jobs.warm_host import WarmHost
from tools.jobs.working_folder import working_folder

OBJECT_BYTES = 80 * 1024**2
"""Of Ray's store of objects, about the least it takes: messages carry paths, never frames."""
CLAIM_SECONDS = 30
"""Within which Ray sees that a killed driver is gone."""


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
    from ray.util import metrics

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_BYTES}
    if cluster.address is not None:
        settings = {"address": cluster.address}
    say(f"connecting to Ray at {cluster.address}" if cluster.address else "starting Ray on this machine")
    try:
        runtime = {"env_vars": {"PYTHONPATH": str(REPOSITORY)}}
        ray.init(log_to_driver=False, logging_level="error", runtime_env=runtime, **settings)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as problem:
        raise SetupError(
            f"--address: Ray cannot be reached or started ({problem}): start one, or leave it out; one that wants a "
            "token wants RAY_AUTH_MODE=token here too"
        ) from problem
    try:
        # A Ray of this run's own has no other driver; the folder's lock is between those of one machine.
        claim = _claim(ray, results) if cluster.address else None
        starts = _places(ray, results, models, cluster)
        say(f"starting {len(starts)} hosts")
        dealer = Dealer(ray, starts, results, tally, Meters(metrics))
        try:
            dealer.deal(to_make(jobs, results, tally))
        except ray.exceptions.RayError as problem:
            raise ServerError(f"the hosts on Ray are gone: {last_line(problem)}") from problem
        finally:
            dealer.end()
            if claim is not None:
                ray.kill(claim)
    finally:
        ray.shutdown()


def _claim(ray: Any, results: Results) -> Any:
    """Bars another driver of this cluster from the same folder, from whichever machine it comes."""
    name = f"seine-batch-{hashlib.sha256(str(results.folder).encode()).hexdigest()[:16]}"
    deadline = time.monotonic() + CLAIM_SECONDS
    while True:
        try:
            claim = ray.remote(Claim).options(name=name, num_cpus=0, namespace="seine").remote()
            ray.get(claim.holds.remote())
            return claim
        except ValueError as problem:
            if time.monotonic() > deadline:
                raise SetupError(
                    f"--output: another run on this Ray writes to {results.folder}: wait for it"
                ) from problem
            time.sleep(1)


def _places(ray: Any, results: Results, models: Models, cluster: Cluster) -> list[Callable[[], Any]]:
    """For each host there is room for, by GPUs or else by machines, what starts its actor."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    gpus = 0 if cluster.cpu else int(ray.cluster_resources().get("GPU", 0))
    each = range(cluster.hosts_per_gpu)
    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    if gpus:
        threads = None
        shares = [{"num_gpus": 1 / cluster.hosts_per_gpu, "scheduling_strategy": "SPREAD"} for _ in range(gpus)]
    else:
        cluster = replace(cluster, cpu=True)
        threads = max(1, (os.cpu_count() or 1) // cluster.hosts_per_gpu)
        # Ray may put all that ask for no GPU on one machine. Soft: on another one, where this one has died.
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        shares = [{"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=True)} for node in nodes]
    arguments = str(results.folder), models, cluster, threads
    workers = [ray.remote(Worker).options(**options, **share) for share in shares for _ in each]
    return [partial(worker.remote, *arguments) for worker in workers]
