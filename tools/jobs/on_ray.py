"""Jobs on Ray: an actor is one warm ComfyUI, and is dealt the next job when it has made one (`dealing`).

Ray restarts actors, and ends them with the driver. Results and their sidecars are written by the actors into one folder
that all machines see, so that a job that is repeated is never made twice.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tools.hosting import hosts
from tools.hosting.environment import SetupError, say, tidy_up_when_terminated
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


def keep_to_itself() -> None:
    """For a Ray of one's own, before it is imported: it listens on all of the machine's addresses, and would do for
    anyone what it is told. The token is of this run alone."""
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _on_cluster(jobs: Jobs, results: Results, models: Models, cluster: Cluster, tally: Tally) -> None:
    if cluster.address is None:
        keep_to_itself()
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
    tidy_up_when_terminated()  # Ray has a handler of its own
    try:
        # A Ray of this run's own has no other driver; the folder's lock is between those of one machine.
        claim = _claim(ray, results) if cluster.address else None
        room = Room(ray, results, models, cluster)
        say(f"starting hosts on {room.describe()}")
        dealer = Dealer(ray, room.more, results, tally, Meters(metrics))
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


class Room:
    """Where hosts may run, `hosts_per_gpu` of them: on each GPU, or where there is none at first on each machine."""

    def __init__(self, ray: Any, results: Results, models: Models, cluster: Cluster):
        self._ray, self._each = ray, cluster.hosts_per_gpu
        self._by_gpu = not cluster.cpu and self._gpus() > 0
        if not self._by_gpu:
            cluster = replace(cluster, cpu=True)
        threads = None if self._by_gpu else max(1, (os.cpu_count() or 1) // cluster.hosts_per_gpu)
        self._arguments = str(results.folder), models, cluster, threads
        self._named = 0
        self._machines: set[str] = set()

    def describe(self) -> str:
        return f"{self._gpus()} GPUs" if self._by_gpu else f"the CPUs of {len(self._alive())} machines"

    def more(self) -> list[Callable[[], Any]]:
        """What starts the actors of hosts there is room for since it was last asked."""
        if self._by_gpu:
            # A GPU that is gone takes no place away: its host waits for another one, which is then no new one.
            new = max(0, self._gpus() * self._each - self._named)
            self._named += new
            share = {"num_gpus": 1 / self._each, "scheduling_strategy": "SPREAD"}
            return [partial(self._start, **share) for _ in range(new)]
        return [partial(self._on_machine, node) for node in self._new_machines() for _ in range(self._each)]

    def _gpus(self) -> int:
        return int(self._ray.cluster_resources().get("GPU", 0))

    def _alive(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def _new_machines(self) -> set[str]:
        new = self._alive() - self._machines
        self._machines |= new
        return new

    def _on_machine(self, node: str) -> Any:
        """Ray may put all that ask for no GPU on one machine."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return self._start(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))

    def _start(self, **options: Any) -> Any:
        always = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        return self._ray.remote(Worker).options(**always, **options).remote(*self._arguments)
