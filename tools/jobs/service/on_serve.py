"""The service on Ray Serve: a replica is one warm ComfyUI, and one ingress holds the queue.

Serve starts again what has died, but not the requests that it was at: the ingress does that. What it holds itself is in
the folder of results, so that it may die too.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.hosting.environment import SetupError, last_as_long_as_the_process, say, tidy_up_when_terminated
from tools.hosting.server import REPOSITORY, ServerError
from tools.jobs.dealing import last_line
from tools.jobs.keys import Keyed
from tools.jobs.making import Outcome
from tools.jobs.models import Models
from tools.jobs.on_ray import Cluster, Worker, keep_to_itself
from tools.jobs.results import Results
from tools.jobs.service.app import Settings, build_app
from tools.jobs.service.clip import MakerGone
from tools.jobs.service.waiting import SERVICE

MOST_REQUESTS = 10_000
"""At the ingress at once: its own queue is what is bounded."""
STOPS = f"{SERVICE}/stops"
"""Below the folder of results: an empty file for each call that is to stop. Serve's own cancelling would answer at
once, while the replica is still at the clip."""
LOOK_SECONDS = 1
"""Between looks for them."""
STOP_SECONDS = 24 * 3600
"""No clip that is to stop is made for longer."""


class Maker:
    """A replica: takes one job at a time."""

    def __init__(self, output: str, models: Models, cluster: Cluster, threads: int | None):
        # One thread for all that the host does: the kernel ends it with the thread that has started it.
        self._thread = ThreadPoolExecutor(1, initializer=last_as_long_as_the_process)
        self._stops = Path(output) / STOPS
        self._worker = self._thread.submit(Worker, output, models, cluster, threads).result()

    async def make(self, item: Keyed, call: str) -> tuple[Outcome, dict[str, Any]]:
        """Make a job, until it is told to stop; it answers when it has ended. call: its name among those to stop."""
        told = self._stops / call
        making = asyncio.get_running_loop().run_in_executor(self._thread, self._worker.make, item)
        try:
            while not making.done():
                await asyncio.wait([making], timeout=LOOK_SECONDS)
                if not making.done() and await asyncio.to_thread(told.exists):
                    with contextlib.suppress(OSError, ServerError):  # again and again: it may not have begun yet
                        await asyncio.to_thread(self._worker.interrupt)
            return making.result()
        finally:
            told.unlink(missing_ok=True)

    def __del__(self) -> None:
        if hasattr(self, "_worker"):
            self._worker.close()


class Ingress:
    """The application with its queue."""

    def __init__(self, settings: Settings, models: Models, maker: Any, places: int):
        self._settings, self._models, self._maker, self._places = settings, models, maker, places
        self._results, self._hosts = Results(settings.output), set()
        self._stops = self._results.folder / STOPS
        for left in self._stops.glob("*"):  # of calls that a killed one made, some of which may still be at work
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > STOP_SECONDS:
                    left.unlink()

    def __serve_build_asgi_app__(self) -> Any:
        self._results.event("serving", process=os.getpid())
        application, self._clips = build_app(self._settings, self._models, self._make, self._places)
        return application

    def check_health(self) -> None:
        self._clips.check()

    async def _make(self, item: Keyed) -> Outcome:
        from ray.exceptions import RayError

        call = uuid.uuid4().hex
        answer = asyncio.create_task(self._called(item, call))
        try:
            outcome, facts = await asyncio.shield(answer)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):  # on a full disk it is made to its end
                self._stops.mkdir(parents=True, exist_ok=True)
                (self._stops / call).touch()
            try:
                with contextlib.suppress(RayError):
                    await answer
            finally:  # the replica may have died, or ended before it was told
                with contextlib.suppress(OSError):
                    (self._stops / call).unlink(missing_ok=True)
            raise
        except RayError as problem:
            raise MakerGone(last_line(problem)) from problem
        if facts["process"] not in self._hosts:
            self._hosts.add(facts["process"])
            self._results.event("host", **facts)
        return outcome

    async def _called(self, item: Keyed, call: str) -> tuple[Outcome, dict[str, Any]]:
        return await self._maker.make.remote(item, call)


@contextmanager
def served(settings: Settings, models: Models, cluster: Cluster, listen: str, port: int) -> Iterator[int]:
    """The service, from when it answers and all its hosts have started; yields how many these are.

    A Ray of this machine alone is started and ended with it, unless `cluster` names one. Raises SetupError.
    """
    own = cluster.address is None
    if own:
        keep_to_itself()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # reads these as it is imported
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    address: dict[str, Any] = {"include_dashboard": False} if own else {"address": cluster.address}
    say("starting Ray on this machine" if own else f"connecting to Ray at {cluster.address}")
    try:
        runtime = {"env_vars": {"PYTHONPATH": str(REPOSITORY)}}
        ray.init(log_to_driver=False, logging_level="error", runtime_env=runtime, **address)
    except (ConnectionError, RuntimeError, ValueError) as problem:
        raise SetupError(
            f"--address: Ray cannot be reached or started ({problem}): start one, or leave it out, or set "
            "RAY_AUTH_MODE=token where it asks for a token"
        ) from problem
    tidy_up_when_terminated()  # Ray has a handler of its own
    name = f"seine-{hashlib.sha256(str(Results(settings.output).folder).encode()).hexdigest()[:16]}"
    try:
        _listen(serve, listen, port)
        application, places = _application(ray, serve, settings, models, cluster)
        say(f"starting {places} hosts")
        try:
            serve.run(application, name=name, route_prefix="/")
            yield places
        except (RuntimeError, ray.exceptions.RayError) as problem:
            raise SetupError(
                f"the service did not start ({last_line(problem)}): see the logs of Ray Serve, or end the "
                "service that this Ray has already (serve shutdown)"
            ) from problem
        finally:
            serve.delete(name)
    finally:
        ray.shutdown()


def _listen(serve: Any, listen: str, port: int) -> None:
    """Have Serve answer there and nowhere else. Raises SetupError where one runs already that answers elsewhere."""
    from ray.serve.config import HTTPOptions
    from ray.serve.context import _get_global_client

    serve.start(http_options=HTTPOptions(host=listen, port=port), logging_config={"log_level": "ERROR"})
    options = _get_global_client().http_config
    if (options.host, options.port) != (listen, port):
        raise SetupError(
            f"--listen: Serve on this Ray answers at {options.host}:{options.port} already: give these, or end it "
            "(serve shutdown)"
        )


def _application(ray: Any, serve: Any, settings: Settings, models: Models, cluster: Cluster) -> tuple[Any, int]:
    """What Serve is to run, and how many hosts that are: by GPUs, else by machines."""
    gpus = 0 if cluster.cpu else int(ray.cluster_resources().get("GPU", 0))
    places = (gpus or sum(node["Alive"] for node in ray.nodes())) * cluster.hosts_per_gpu
    share = {"num_gpus": 1 / cluster.hosts_per_gpu} if gpus else {}
    cluster = cluster if gpus else Cluster(cluster.address, cluster.hosts_per_gpu, cluster.host, cpu=True)
    threads = None if gpus else max(1, (os.cpu_count() or 1) // cluster.hosts_per_gpu)
    maker = serve.deployment(
        num_replicas=places,
        max_ongoing_requests=1,
        ray_actor_options={"num_cpus": 0, **share},
        graceful_shutdown_timeout_s=5,
    )(Maker)
    ingress = serve.deployment(
        max_ongoing_requests=MOST_REQUESTS, ray_actor_options={"num_cpus": 0}, graceful_shutdown_timeout_s=5
    )(serve.ingress()(Ingress))
    makers = maker.bind(str(settings.output.absolute()), models, cluster, threads)
    return ingress.bind(settings, models, makers, places), places
