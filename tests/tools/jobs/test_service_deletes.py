"""What is deleted while it is made, and asked for anew: the new clip stays, and the deleted one goes."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tools.jobs.serving import Maker, checkpoint, serving
from tests.tools.jobs.test_service import CLIPS, kept, wait_for
from tools.jobs.making import Outcome
from tools.jobs.service import on_serve


class LateMaker(Maker):
    """Ends what is cancelled late, as a host does that is loading its model, and has made the clip by then."""

    async def __call__(self, item):
        if self.at:
            return await super().__call__(item)
        self.at.append(item.key)
        self.ended = asyncio.Event()
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            self.cancelled.append(item.key)
            self._keep(item)
            await self.ended.wait()
            self._keep(item)
            raise

    def _keep(self, item):
        made = self._results.folder / ".late"
        made.write_text("late")
        self._results.keep(item, made, {**item.described(self._models), "seconds": 9.0, "graph": {}})
        made.unlink()


@pytest.mark.parametrize("again", [{"id": "one", "prompt": "a", "seed": 1}, {"id": "ONE", "prompt": "b", "seed": 1}])
def test_what_is_asked_for_anew_waits_for_the_end_of_what_was_deleted(tmp_path, again):
    maker = LateMaker(tmp_path / "out", checkpoint(tmp_path / "models"))
    with serving(tmp_path, maker) as (client, _):
        first = client.post(CLIPS, json={"id": "one", "prompt": "a", "seed": 1}).json()["id"]
        wait_for(client, making=1)
        for _ in range(2):  # what waits may be deleted and asked for once more; the late one has still not ended
            assert client.delete(f"{CLIPS}/{first}").status_code == 204
            answer = client.post(CLIPS, json=again).json()
            first = answer["id"]
            assert answer["state"] == "waiting"  # although a clip of it may lie there
        client.post(CLIPS, json={"prompt": "another"})
        wait_for(client, made=1, waiting=1)  # others go on at the other place
        client.portal.call(maker.ended.set)
        wait_for(client, made=2)
        assert client.get(f"{CLIPS}/{first}/file").text == first and maker.made[-1] == first
        assert client.get(f"{CLIPS}/{first}").json()["seconds"] == 0.5


def test_what_is_made_in_spite_of_being_deleted_goes(tmp_path):
    maker = LateMaker(tmp_path / "out", checkpoint(tmp_path / "models"))
    with serving(tmp_path, maker, places=1) as (client, _):
        key = client.post(CLIPS, json={"id": "one", "prompt": "a"}).json()["id"]
        wait_for(client, making=1)
        assert client.delete(f"{CLIPS}/{key}").status_code == 204
        client.portal.call(maker.ended.set)
        client.post(CLIPS, json={"prompt": "b"})
        wait_for(client, made=1)
        assert not list((tmp_path / "out").glob("one.*")) and maker.cancelled == [key]


def test_the_service_ends_without_what_never_does(tmp_path):
    maker = LateMaker(tmp_path / "out", checkpoint(tmp_path / "models"))
    with serving(tmp_path, maker) as (client, _):
        client.post(CLIPS, json={"prompt": "a"})
        wait_for(client, making=1)
        began = time.monotonic()
    assert time.monotonic() - began < 10 and len(kept(tmp_path)) == 1  # and it is found again


class Worker:
    """Stands in for a ComfyUI: at its job until it is interrupted for the second time."""

    def __init__(self, *_):
        self.interrupts, self.end = 0, threading.Event()

    def make(self, item):
        self.end.wait(20)
        return Outcome(False, error=f"{self.interrupts} interrupts"), {"process": 1}

    def interrupt(self):
        self.interrupts += 1
        if self.interrupts == 2:
            self.end.set()

    def close(self):
        pass


def test_a_replica_answers_a_stop_when_it_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(on_serve, "Worker", Worker)
    monkeypatch.setattr(on_serve, "LOOK_SECONDS", 0.05)
    stops = tmp_path / on_serve.STOPS
    maker = on_serve.Maker(str(tmp_path), None, None, None)

    async def run():
        call = asyncio.create_task(maker.make(None, "mine"))
        stops.mkdir(parents=True)
        (stops / "others").touch()
        await asyncio.sleep(0.3)
        assert not call.done() and not maker._worker.interrupts
        (stops / "mine").touch()
        return await call

    with ThreadPoolExecutor(1) as elsewhere:  # a browser of other tests has a loop in this thread
        outcome, _ = elsewhere.submit(asyncio.run, run()).result()
    assert outcome.error == "2 interrupts" and [path.name for path in stops.iterdir()] == ["others"]
