"""The service on Ray Serve: 200 requests at once, among which a replica and the queue are killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tools.jobs.pictures import picture
from tests.tools.test_batch import SETTINGS, environment, gone, wait_until
from tools import serve
from tools.hosting.environment import STARTED
from tools.hosting.server import REPOSITORY

COMMAND = [sys.executable, str(REPOSITORY / "tools" / "serve.py")]
REQUESTS, CLIENTS, CLIPS, MOST_WAITING = 200, 8, 16, 6


class Service:
    """The command, from its start to its end."""

    def __init__(self, host, folder: Path, port: int):
        self.folder, self.address = folder, f"http://127.0.0.1:{port}"
        command = [*COMMAND, "--output", "out", "--root", "photos", "--port", str(port), "--hosts-per-gpu", "2"]
        command += [
            "--most-waiting",
            str(MOST_WAITING),
            "--most-megabytes",
            "1",
            "--device",
            "cpu",
            "--host",
            host.name,
        ]
        command += ["--checkpoint", "seine-small.safetensors"]
        command += [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
        with open(folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def call(self, method: str, path: str = "", **parts):
        import requests

        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, f"{self.address}/v1/clips{path}", timeout=60, **parts)

    def events(self, name: str) -> list[dict]:
        file = self.folder / "out/events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def answers(self) -> bool:
        """Whether it does; while its hosts start, what is asked for waits."""
        import requests

        assert self.process.poll() is None, self.said()
        try:
            return self.call("GET").status_code == 200
        except requests.ConnectionError:
            return False

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.mark.parametrize(
    ("arguments", "token", "words"),
    [
        (
            ["--listen", "0.0.0.0"],
            None,
            "--listen: 0.0.0.0 can be reached by others: give --token-file",
        ),
        (["--listen", "192.168.0.4"], "", "--token-file: the token has 0 characters: take 16 or more"),
        (["--token-file", "nothing"], None, "--token-file: it cannot be read"),
        (["--set", "steps=many"], None, "--set steps: 'many' is not a whole number"),
        (["--set", "step=3"], None, "--set step: there is no such key; the nearest is steps"),
        (["--checkpoint", "no.safetensors"], None, "no.safetensors: there is no such file: give --checkpoint"),
    ],
)
def test_a_service_that_cannot_be_meant_is_not_started(tmp_path, monkeypatch, capsys, arguments, token, words):
    monkeypatch.setenv(STARTED, "0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(serve.TOKEN, raising=False)
    if token is not None:
        monkeypatch.setenv(serve.TOKEN, token)
    checkpoint = [] if "--checkpoint" in arguments else ["--checkpoint", "seine-small.safetensors"]
    assert serve.main(["--output", "out", *checkpoint, *arguments]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.one_host
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends hosts with their parent on Linux alone")
def test_two_hundred_requests_while_a_replica_and_the_queue_are_killed(host, tmp_path):
    for number in range(CLIPS):
        picture(tmp_path / f"photos/{number}.png", 15 * number)
    import requests

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = Service(host, tmp_path, port)
    refused, killed = [], threading.Event()
    try:
        wait_until(service.answers, 200)

        def ask(number: int) -> tuple[int, str]:
            """Until it is accepted; every third brings its image, which makes it the same clip."""
            image = number % CLIPS
            row = {"seed": image, "prompt": "a lake"}
            path = tmp_path / f"photos/{image}.png"
            while True:
                given = {"json": {**row, "images": [path.name]}}
                if number % 3 == 0:
                    given = {"data": row, "files": {"images": ("x.png", path.read_bytes())}}
                try:
                    answer = service.call("POST", **given)
                except requests.ConnectionError:
                    answer = None
                if answer is not None and answer.status_code == 202:
                    return image, answer.json()["id"]
                if answer is not None and "Retry-After" in answer.headers:
                    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1
                    refused.append(number)
                else:
                    assert killed.is_set(), answer and answer.text
                time.sleep(1)

        with ThreadPoolExecutor(CLIENTS) as clients:
            asked = clients.map(ask, range(REQUESTS))
            wait_until(lambda: service.events("host"), 200)
            victim = service.events("host")[0]
            wait_until(lambda: len(service.events("started")) > len(service.events("made")) + 1, 60)
            os.kill(victim["actor"], signal.SIGKILL)
            wait_until(lambda: gone(victim["process"]), 30)  # a host ends with its replica
            killed.set()
            os.kill(service.events("serving")[0]["process"], signal.SIGKILL)
            ids = dict(asked)
        assert len(service.events("serving")) == 2
        wait_until(lambda: service.call("GET").json()["counts"]["made"] == CLIPS, 200)
        listed = service.call("GET").json()
        assert listed["counts"] == {"waiting": 0, "making": 0, "made": CLIPS, "failed": 0} and refused
        assert len(set(ids.values())) == CLIPS and {clip["id"] for clip in listed["clips"]} == set(ids.values())
        files = [service.call("GET", f"/{key}/file") for key in ids.values()]
        assert all(file.content[4:8] == b"ftyp" for file in files)
        assert len({file.content for file in files}) == CLIPS == len(list((tmp_path / "out").glob("*.mp4")))
        assert len(service.events("started")) > CLIPS  # what the killed one was at was begun again
        assert len(service.events("made")) == CLIPS and not (tmp_path / "out/failed.jsonl").exists()
        # What may not pass does not on the way through Serve.
        large = service.call("POST", data=b"x" * 2_000_000, headers={"Content-Type": "application/json"})
        foreign = service.call("POST", json={"prompt": "x"}, headers={"Origin": "https://clips.example"})
        assert (large.status_code, foreign.status_code) == (413, 403)
        # What is being made stops when it is deleted: both hosts are at clips of minutes, and make one of a second.
        size = {"steps": 1000, "frames": 16, "width": 256, "height": 256}
        long = [
            service.call("POST", json={"id": f"long{n}", "prompt": f"a lake {n}", **size}).json()["id"]
            for n in range(2)
        ]
        wait_until(lambda: service.call("GET").json()["counts"]["making"] == 2)
        time.sleep(2)
        assert [service.call("DELETE", f"/{key}").status_code for key in long] == [204, 204]
        short = service.call("POST", json={"id": "long0", "prompt": "short"}).json()["id"]
        wait_until(lambda: service.call("GET", f"/{short}").json()["state"] == "made", 40)
        assert [service.call("GET", f"/{key}").status_code for key in long] == [404, 404]
        wait_until(lambda: not list((tmp_path / "out/.seine-service/stops").iterdir()), 40)  # both have ended
        assert service.call("GET", f"/{short}/file").status_code == 200
    finally:
        code = service.end()
    assert code == 0 and "stopped; finished clips stay" in service.said(), service.said()
    for event in service.events("host"):
        wait_until(lambda event=event: gone(event["process"]) and gone(event["actor"]), 30)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".part" or "long1" in path.name]
