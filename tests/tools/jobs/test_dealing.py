"""Jobs dealt to hosts that die, come back, do not start, or are never heard of again: by a stand-in for Ray."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tools.hosting.server import ServerError
from tools.jobs import dealing
from tools.jobs.dealing import Dealer
from tools.jobs.job import Job
from tools.jobs.keys import Keyed
from tools.jobs.making import Outcome, Tally
from tools.jobs.meters import Meters
from tools.jobs.results import Results


class RayError(Exception):
    pass


class RayActorError(RayError):
    pass


class Ref:
    """What a call will answer, and the how manieth call it is."""

    count = 0

    def __init__(self, answer):
        self.answer = answer
        Ref.count += 1
        self.number = Ref.count


class Actor:
    """Does what `fates` says, one after the other, then makes whatever it is given. None: nothing is heard of it."""

    def __init__(self, number, fates):
        self.number, self.fates = number, list(fates)
        self.made, self.killed = [], []
        self.facts = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: self._answer(None)))
        self.make = SimpleNamespace(options=self._options)
        self.close = SimpleNamespace(remote=lambda: Ref("closed"))
        self.retries = set()

    def _options(self, max_task_retries):
        self.retries.add(max_task_retries)
        return SimpleNamespace(remote=self._answer)

    def _answer(self, item):
        fate = self.fates.pop(0) if self.fates else "fine"
        if fate == "fine" and item is not None:
            self.made.append(item.id)
            return Ref((Outcome(True, 2.0), {"process": self.number}))
        return Ref({"process": self.number} if fate == "fine" else fate)


class Ray:
    """Answers come in the order in which they were asked for."""

    exceptions = SimpleNamespace(RayError=RayError, RayActorError=RayActorError)

    def __init__(self):
        self.waits = 0

    def wait(self, refs, num_returns, timeout):
        self.waits += 1
        assert self.waits < 100, "it waits for ever"
        there = sorted((ref for ref in refs if ref.answer is not None), key=lambda ref: ref.number)
        assert timeout is not None, "it would not see that a machine has joined"
        return there[:num_returns], []

    def get(self, ref):
        if isinstance(ref.answer, Exception):
            raise ref.answer
        return ref.answer

    def kill(self, actor, no_restart=True):
        actor.killed.append(no_restart)


class Measures:
    """A stand-in for ray.util.metrics: values by name."""

    def __init__(self):
        self.values = {}
        self.Counter = self.Gauge = self.Histogram = self._metric

    def _metric(self, name, *_):
        def change(amount=1, tags=None):
            self.values[name] = self.values.get(name, 0) + amount

        return SimpleNamespace(
            inc=change, observe=change, set=lambda value: self.values.__setitem__(name, value), name=name
        )


def job(name):
    made = Job(name, "text_to_video", (), "x", "", 1, 8, 8, 1, 1, 1.0, "ddim", name=name)
    return Keyed(made, f"key of {name}", 1, (), f"{name}.mp4")


@pytest.fixture
def deal(tmp_path):
    """Deals jobs a to d to actors with these fates; `later`: of those started in place of others; `joins`: of those for
    which there is room later.
    """

    def call(*fates, jobs="abcd", later=(), joins=()):
        results = Results(tmp_path)
        tally = Tally(jobs=len(jobs))
        actors, waiting = [], [*fates, *later]

        def start():
            actors.append(Actor(len(actors), waiting.pop(0) if waiting else []))
            return actors[-1]

        rooms = [[start] * len(fates), *([start] for _ in joins)]
        waiting += joins
        measures = Measures()
        dealer = Dealer(Ray(), lambda: rooms.pop(0) if rooms else [], results, tally, Meters(measures))
        try:
            dealer.deal(map(job, jobs))
        finally:
            dealer.end()
        file = tmp_path / "events.jsonl"
        events = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return SimpleNamespace(tally=tally, actors=actors, events=events, measures=measures.values)

    return call


def test_each_host_takes_the_next_job_and_all_are_ended(deal):
    ran = deal([], [])
    assert sorted(ran.actors[0].made + ran.actors[1].made) == list("abcd")
    assert (ran.tally.made, ran.tally.complete, ran.tally.waiting) == (4, True, 0)
    assert all(actor.killed == [True] for actor in ran.actors)
    assert all(actor.retries == {0} for actor in ran.actors), "Ray would keep a job for the actor that dropped it"
    assert ran.measures == {"seine_clips_made": 4, "seine_clip_seconds": 8, "seine_jobs_waiting": 0, "seine_hosts": 2}


def test_what_a_host_drops_is_made_by_another_even_if_it_never_comes_back(deal):
    ran = deal(["fine", RayActorError("killed"), None], [])
    assert ran.actors[1].made == ["b", "a", "c", "d"] and ran.tally.complete
    dropped = [event for event in ran.events if event["event"] == "dropped"]
    assert [(event["id"], event["error"]) for event in dropped] == [("a", "killed")]


def test_a_host_that_comes_back_goes_on(deal):
    ran = deal(["fine", RayActorError("killed"), "fine"])
    assert ran.actors[0].made == list("abcd") and ran.tally.complete


def test_an_actor_whose_comfyui_does_not_start_is_started_again(deal):
    ran = deal(["fine", RayError("ServerError: no port")])
    assert ran.actors[0].killed == [False, True] and ran.tally.complete


def test_a_job_that_three_hosts_died_of_is_set_aside(deal):
    died = RayActorError("out of memory")
    ran = deal(["fine", died, "fine", died, "fine", died], jobs="ab")
    assert ran.actors[0].made == ["b"] and (ran.tally.made, ran.tally.failed) == (1, 1)
    assert ran.measures["seine_clips_failed"] == 1


def test_a_host_that_cannot_start_is_tried_thrice_and_others_go_on(deal):
    no = [RayActorError("no checkpoint here")]
    ran = deal(no, [], later=[no, no])
    assert ran.actors[1].made == list("abcd") and ran.tally.complete and len(ran.actors) == 4
    assert [event["attempts"] for event in ran.events if event["event"] == "no host"] == [1, 2, 3]
    assert ran.measures["seine_hosts"] == 1 and ran.actors[0].killed == [True]


def test_a_machine_that_joins_is_used(deal, monkeypatch):
    monkeypatch.setattr(dealing, "LOOK_SECONDS", -1)
    ran = deal([None], joins=[[]])
    assert ran.actors[1].made == list("abcd") and ran.measures["seine_hosts"] == 2


def test_without_any_host_it_says_why(deal):
    no = [RayActorError("trace\nno checkpoint here")]
    with pytest.raises(ServerError, match="no host on Ray is left: no checkpoint here"):
        deal(no, later=[no, no])


def test_hosts_for_which_there_is_no_room_are_not_waited_for_without_end(deal, monkeypatch):
    monkeypatch.setattr(dealing, "START_SECONDS", 0)
    with pytest.raises(ServerError, match="no host on Ray has started in 0 s: `ray status`"):
        deal([None], [None])


def test_the_same_row_twice_is_made_once(deal):
    ran = deal([], [], jobs="aab")
    assert (ran.tally.made, ran.tally.there, ran.tally.complete) == (2, 1, True)
