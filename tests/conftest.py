"""Fixtures that run tests inside real ComfyUIs, once per host, and the summary of which hosts that were.

A test that asks for `host`, `server`, `client` or `run_in_host` runs on every host that can be had, and has the marker
`host`. It is never skipped for want of one: without the registry host it is an error, without the modern host the
summary says so. Tests of one file, and all those of one server, stay together where several processes share the work.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting import environment, hosts
from tools.hosting.client import Client
from tools.hosting.forks import HostForks
from tools.hosting.server import ComfyServer, prepare_base

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE_MODEL = "sample.safetensors"
"""The bundle with made-up weights that every server has in models/seine."""

SERVERS = ("server", "served", "bare")
"""Fixtures of servers that more than one file shares."""


class HostLog:
    """Which hosts there are, and how their tests went."""

    def __init__(self, chosen: str) -> None:
        self.chosen = chosen
        self.found: dict[str, hosts.Host] = {}
        self.missing: dict[str, str] = {}
        self.results: dict[str, Counter] = {}

    def names(self) -> list[str]:
        """The hosts to run on; looked for once. The registry host is named even if it cannot be had."""
        for name in hosts.HOST_NAMES:
            if self.chosen in ("all", name) and name not in self.found and name not in self.missing:
                try:
                    self.found[name] = hosts.find(name)
                except hosts.SetupError as problem:
                    self.missing[name] = str(problem)
        return [
            name for name in hosts.HOST_NAMES if name in self.found or (name == "registry" and name in self.missing)
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = dict(report.user_properties).get("host")
        if name and (report.when == "call" or report.outcome != "passed"):
            counts = self.results.setdefault(name, Counter())
            counts[report.outcome if report.when == "call" else f"{report.outcome} in {report.when}"] += 1

    def summary(self) -> str:
        """One line: each host with versions and results, without paths; nothing where no test asked for one."""
        if self.results:
            self.names()
        parts = []
        for name in hosts.HOST_NAMES:
            if name in self.results and name in self.found:
                counts = self.results[name]
                others = [f"{number} {how}" for how, number in sorted(counts.items()) if how != "passed"]
                parts.append(f"{self.found[name].describe()} " + ", ".join([f"{counts['passed']} passed", *others]))
            elif name in self.missing:
                parts.append(self.missing[name].splitlines()[0])
        return f"hosts: {'; '.join(parts)}" if parts else ""


HOST_LOG = pytest.StashKey[HostLog]()


SCHEDULED = (os.sched_getscheduler(0), os.sched_getparam(0)) if hasattr(os, "sched_getscheduler") else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--host", choices=("all", *hosts.HOST_NAMES), default="all", help="ComfyUI hosts to test in")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[HOST_LOG] = HostLog(config.getoption("--host"))
    config.pluginmanager.register(config.stash[HOST_LOG])
    config.addinivalue_line("markers", "host: runs in a ComfyUI; -m 'not host' is the quick set")
    config.addinivalue_line("markers", "one_host: in the newest ComfyUI alone, for what takes long and is all ours")
    environment.tidy_up_when_terminated()  # servers are in process groups of their own


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "host" not in metafunc.fixturenames:
        return
    log = metafunc.config.stash[HOST_LOG]
    names = log.names()
    if log.chosen == "modern" and not names:
        raise pytest.UsageError(log.missing["modern"])
    if metafunc.definition.get_closest_marker("one_host"):
        names = names[-1:]
    metafunc.parametrize("host", names, indirect=True, scope="session")


def host_of(item: pytest.Item) -> str | None:
    return item.callspec.params.get("host") if hasattr(item, "callspec") else None


def turn_of(item: pytest.Item) -> int:
    """What takes long comes first, so that the processes that share the work end together: servers, hosts, the rest."""
    if set(SERVERS) & set(item.fixturenames):
        return 0
    if host_of(item):
        return 1
    return 3 if "tests/model/" in item.nodeid else 2


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        name = host_of(item)
        if name:
            item.add_marker("host")
        place = next((shared for shared in SERVERS if shared in item.fixturenames), item.location[0])
        item.add_marker(pytest.mark.xdist_group(f"{place} {name or ''}".strip()))
        if name:
            item.user_properties.append(("host", name))
    yield
    # All of one host together: pytest, which does that itself, is misled by tests that are in one host alone.
    items.sort(key=lambda item: (turn_of(item), host_of(item) or ""))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    summary = config.stash[HOST_LOG].summary()
    if not summary:
        return
    terminalreporter.write_line(summary)
    if "SEINE_HOST_SUMMARY" in os.environ:
        Path(os.environ["SEINE_HOST_SUMMARY"]).write_text(summary, encoding="utf-8")


@pytest.fixture(autouse=True)
def _scheduling() -> Iterator[None]:
    """As at the start: an encoder that a test makes its files with may leave the process a real-time one."""
    yield
    if SCHEDULED and os.sched_getscheduler(0) != SCHEDULED[0]:
        os.sched_setscheduler(0, *SCHEDULED)


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> hosts.Host:
    """A ComfyUI to run in; a test that uses it runs once for each."""
    log = request.config.stash[HOST_LOG]
    if request.param not in log.found:
        pytest.fail(log.missing[request.param], pytrace=False)
    log.found[request.param].prepare()
    return log.found[request.param]


@pytest.fixture(scope="session")
def sample_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle checkpoint with made-up weights (see tools/hosting/sample_bundle.py)."""
    from tools.hosting.sample_bundle import sample_bundle

    return sample_bundle(tmp_path_factory.mktemp("models") / SAMPLE_MODEL)


@pytest.fixture(scope="session")
def server(host: hosts.Host, sample_model: Path, tmp_path_factory: pytest.TempPathFactory):
    """A server running the pack, one per host for all tests; `sample.safetensors` is in its models/seine.

    Files that a test puts below `server.models` are found at once.
    """
    with ComfyServer(host, tmp_path_factory.mktemp(f"server-{host.name}"), {"seine": [sample_model]}) as running:
        yield running


@pytest.fixture
def client(server: ComfyServer) -> Client:
    """The client of the running server, which is checked to be still there before and after the test."""
    server.check()
    yield server.client
    server.check()


@pytest.fixture(scope="session")
def forks_of(
    sample_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[hosts.Host], HostForks]]:
    """The process of each host that scripts are forks of.

    It stays for the session: pytest ends what depends on `host` with each change of the host, which every file may be.
    """
    started: dict[str, HostForks] = {}
    with contextlib.ExitStack() as stack:

        def of(host: hosts.Host) -> HostForks:
            if host.name not in started:
                base = tmp_path_factory.mktemp(f"in-{host.name}")
                prepare_base(base, {"seine": [sample_model]})
                started[host.name] = stack.enter_context(HostForks(host, base))
            return started[host.name]

        yield of


@pytest.fixture(scope="session")
def run_in_host(host: hosts.Host, forks_of: Callable[[hosts.Host], HostForks]) -> Callable[..., dict[str, Any]]:
    """Call `main(**keywords)` of a file in tests/in_host inside a process of the host and return its answer.

    Each call has a process of its own, a fork of one that has imported the host: what it changes goes with it.
    """

    def call(script: str | Path, **keywords: Any) -> dict[str, Any]:
        return forks_of(host).run(REPOSITORY / "tests" / "in_host" / script, keywords)

    return call
