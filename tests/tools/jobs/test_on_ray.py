"""Where there is room for hosts, as machines come and go: by a stand-in for Ray."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from tools.jobs.on_ray import Cluster, Room
from tools.jobs.results import Results


class Ray:
    """`machines`: what is alive, by name, with its GPUs; `options`: those of the actors that were made."""

    def __init__(self, **machines):
        self.machines, self.options = machines, []

    def cluster_resources(self):
        return {"GPU": float(sum(self.machines.values()))} if any(self.machines.values()) else {"CPU": 2.0}

    def nodes(self):
        return [*({"NodeID": name, "Alive": True} for name in self.machines), {"NodeID": "gone", "Alive": False}]

    def remote(self, kind):
        def options(**given):
            self.options.append(given)
            return SimpleNamespace(remote=lambda output, models, cluster, threads: (cluster.cpu, threads))

        return SimpleNamespace(options=options)


@pytest.fixture
def affinity(monkeypatch):
    """A stand-in for the module that has Ray's way to name a machine."""
    module = ModuleType("ray.util.scheduling_strategies")
    module.NodeAffinitySchedulingStrategy = lambda node, soft: (node, soft)
    for name in ("ray", "ray.util"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def room(ray, tmp_path, hosts_per_gpu=1, cpu=False):
    return Room(ray, Results(tmp_path), None, Cluster("here:1", hosts_per_gpu, "best", cpu))


def test_hosts_run_on_gpus_and_one_that_joins_has_one_too(tmp_path):
    ray = Ray(head=0, a=2)
    here = room(ray, tmp_path, hosts_per_gpu=2)
    started = [start() for start in here.more()]
    assert started == [(False, None)] * 4 and {options["num_gpus"] for options in ray.options} == {0.5}
    assert here.more() == []
    ray.machines = {"head": 0, "b": 2}  # one in place of another: the hosts of that are started again on this
    assert here.more() == []
    ray.machines["c"] = 1
    assert len(here.more()) == 2


def test_without_gpus_each_machine_has_a_host_of_its_own(tmp_path, affinity):
    ray = Ray(a=0, b=0)
    here = room(ray, tmp_path)
    cpu = {start()[0] for start in here.more()}
    assert cpu == {True} and {options["scheduling_strategy"] for options in ray.options} == {("a", False), ("b", False)}
    ray.machines = {"b": 0, "c": 0}
    assert len(here.more()) == 1 and here.more() == []


def test_a_cpu_is_used_beside_gpus_where_it_is_asked_for(tmp_path, affinity):
    ray = Ray(a=8)
    assert [start()[0] for start in room(ray, tmp_path, cpu=True).more()] == [True]
    assert "num_gpus" not in ray.options[0]
