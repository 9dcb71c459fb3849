"""The service's queue and its refusals, without Ray and without a ComfyUI."""

from __future__ import annotations

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from tests.tools.jobs.pictures import picture
from tests.tools.jobs.serving import Maker, checkpoint, serving
from tools.jobs.making import Outcome
from tools.jobs.service.bodies import FORM
from tools.jobs.service.clip import MakerGone
from tools.jobs.sources import source_of

CLIPS = "/v1/clips"
TOKEN = "a-token-of-enough-letters"


def wait_for(client, **counts):
    """Until there are so many clips in each of these states."""
    deadline = time.monotonic() + 20
    while True:
        now = client.get(CLIPS, params={"limit": 1}).json()["counts"]
        if counts.items() <= now.items():
            return
        assert time.monotonic() < deadline, now
        time.sleep(0.01)


def sent(colour=0, size=(24, 16), kind="PNG", name="a_red.boat.png"):
    """An image in a form."""
    file = io.BytesIO()
    (Image.new("RGB", size, (colour, 90, 160)) if size[0] < 1000 else Image.new("1", size)).save(file, kind)
    return "images", (name, file.getvalue(), "image/png")


def kept(folder):
    """What the service keeps of requests."""
    return [path.name for path in (folder / "out/.seine-service").rglob("*") if path.is_file()]


def test_rows_become_the_clips_that_a_batch_makes_of_them(tmp_path):
    picture(tmp_path / "root/a.png", 40)
    rows = [
        {"id": "one", "prompt": "a lake", "seed": 3, "width": 64, "height": 64},
        {"images": ["a.png"], "steps": 7, "format": "gif"},
    ]
    (tmp_path / "root/rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    batch = list(source_of(tmp_path / "root/rows.jsonl", {"cfg": 2}).jobs(checkpoint(tmp_path / "models")))
    with serving(tmp_path, root=tmp_path / "root", row={"cfg": 2}) as (client, _):
        answers = [client.post(CLIPS, json=row) for row in rows]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert [answer.json()["id"] for answer in answers] == [item.key for item in batch]
        assert [answer.headers["location"] for answer in answers] == [f"{CLIPS}/{item.key}" for item in batch]
        wait_for(client, made=2)
        for item in batch:
            file = client.get(f"{CLIPS}/{item.key}/file")
            assert file.text == item.key and file.headers["content-type"].startswith(("video/mp4", "image/gif"))
            assert (tmp_path / "out" / item.file).is_file() and (tmp_path / "out" / f"{item.file}.json").is_file()
        inputs = client.get(f"{CLIPS}/{batch[1].key}").json()["inputs"]
        assert (inputs["steps"], inputs["cfg"], inputs["prompt"]) == (7, 2.0, "a")
    assert kept(tmp_path) == []


def test_a_form_brings_its_images_and_they_go_when_it_is_made(tmp_path):
    picture(tmp_path / "photos/a_red.boat.png", 0)
    (item,) = source_of(tmp_path / "photos", {"steps": 5}).jobs(checkpoint(tmp_path / "models"))
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    maker.open.clear()
    with serving(tmp_path, maker) as (client, _):
        for _ in range(2):  # the second is the same clip
            answer = client.post(CLIPS, data={"steps": "5"}, files=[sent()])
            assert (answer.status_code, answer.json()["id"]) == (202, item.key), answer.text
        assert answer.json()["prompt"] == "a red"
        assert sorted(name.partition(".")[0] for name in kept(tmp_path)) == sorted([item.key, item.digests[0]])
        two = client.post(CLIPS, data={"prompt": "it changes"}, files=[sent(), sent(90)]).json()
        assert two["kind"] == "transition"
        maker.open.set()
        wait_for(client, made=2)
    assert kept(tmp_path) == []


def test_two_hundred_at_once_are_all_made_once(tmp_path):
    """Of 8 clients, each of which asks for what others ask for too, beyond what may wait."""
    rows = [{"prompt": f"a lake, {number % 120}", "seed": 1} for number in range(200)]
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    maker.open.clear()
    refused = []
    with serving(tmp_path, maker, most_waiting=20) as (client, _):

        def ask(row):
            while True:
                answer = client.post(CLIPS, json=row)
                if answer.status_code == 202:
                    return row["prompt"], answer.json()["id"]
                assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1, answer.text
                refused.append(row)
                maker.open.set()
                time.sleep(0.02)

        with ThreadPoolExecutor(8) as clients:
            ids = list(clients.map(ask, rows))
        wait_for(client, made=120, waiting=0, making=0, failed=0)
        assert refused and len(set(ids)) == len(dict(ids)) == 120 == len(maker.made) == len(set(maker.made))
        pages, after = [], None
        while True:
            page = client.get(CLIPS, params={"limit": 50, **({"after": after} if after else {})}).json()
            pages += page["clips"]
            if not (after := page["after"]):
                break
        assert sorted(clip["id"] for clip in pages) == sorted(maker.made)
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 120


def test_beyond_the_bound_one_is_told_when_to_come_again_and_those_there_are_still_known(tmp_path):
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    maker.open.clear()
    with serving(tmp_path, maker, places=1, most_waiting=2) as (client, _):
        first = client.post(CLIPS, json={"prompt": "0"}).json()["id"]
        wait_for(client, making=1)
        ids = [client.post(CLIPS, json={"prompt": str(number)}).json()["id"] for number in (1, 2)]
        full = client.post(CLIPS, data={"prompt": "3"}, files=[sent()])
        assert full.status_code == 503 and full.headers["retry-after"] == "10"
        assert len(kept(tmp_path)) == 3  # its image is not kept
        assert client.post(CLIPS, json={"prompt": "2"}).json()["id"] == ids[1]
        assert [client.get(f"{CLIPS}/{key}").json()["before"] for key in (first, *ids)] == [None, 0, 1]
        assert client.get(f"{CLIPS}/{ids[0]}/file").status_code == 409
        assert client.delete(f"{CLIPS}/{ids[0]}").status_code == 204
        assert client.post(CLIPS, json={"prompt": "3"}).status_code == 202
        maker.open.set()
        wait_for(client, made=3)
        assert ids[0] not in maker.made


def test_a_clip_is_made_again_elsewhere_when_its_maker_dies_and_set_aside_the_third_time(tmp_path):
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    maker.fate = [MakerGone("gone"), MakerGone("gone")]
    with serving(tmp_path, maker, places=1) as (client, _):
        client.post(CLIPS, json={"prompt": "a lake"})
        wait_for(client, made=1)
        assert len(maker.at) == 3
        maker.fate = [MakerGone("the replica died")] * 3 + [Outcome(False, error="VAE: no\nmore", cause="job")]
        gone, wrong = (client.post(CLIPS, json={"prompt": prompt}).json()["id"] for prompt in ("b", "c"))
        wait_for(client, failed=2)
        errors = [client.get(f"{CLIPS}/{key}").json()["error"] for key in (gone, wrong)]
        assert errors == ["the replica died", "VAE: no"]
        lines = [json.loads(line) for line in (tmp_path / "out/failed.jsonl").read_text().splitlines()]
        assert [line["cause"] for line in lines] == ["host", "job"]
        assert (
            client.post(CLIPS, json={"prompt": "b"}).json()["state"] == "waiting"
        )  # what failed may be asked for again
        wait_for(client, made=2, failed=1)


def test_what_was_there_is_found_again_after_a_restart(tmp_path):
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    with serving(tmp_path, maker, places=1) as (client, _):
        made = client.post(CLIPS, json={"id": "one", "prompt": "a lake"}).json()["id"]
        wait_for(client, made=1)
        maker.open.clear()
        waiting = [client.post(CLIPS, data={"prompt": str(n)}, files=[sent(n)]).json()["id"] for n in range(3)]
        wait_for(client, making=1, waiting=2)
    for name in (".seine-service/images/left.png", "half.mp4.json"):
        (tmp_path / "out" / name).write_text("{")
    rows = tmp_path / "out/.seine-service/waiting"
    killed = {"asked": 0, "row": {"id": "one", "prompt": "a lake"}}  # as a queue leaves it that dies while one is kept
    (rows / f"{made}.json").write_text(json.dumps(killed))
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    with serving(tmp_path, maker, places=1) as (client, _):
        wait_for(client, made=4)
        assert maker.made == waiting  # in their order
        answer = client.post(CLIPS, json={"id": "one", "prompt": "a lake"}).json()
        assert (answer["id"], answer["state"], answer["name"]) == (made, "made", "one")
        assert client.get(f"{CLIPS}/{made}").json()["inputs"]["prompt"] == "a lake"
        assert client.get(f"{CLIPS}/{made}/file", headers={"Range": "bytes=0-3"}).text == made[:4]
    assert kept(tmp_path) == []


def test_a_clip_is_deleted_wherever_it_is(tmp_path):
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    with serving(tmp_path, maker, places=1) as (client, _):
        first = client.post(CLIPS, json={"id": "x", "prompt": "a"}).json()["id"]
        wait_for(client, made=1)
        assert client.post(CLIPS, json={"id": "X", "prompt": "b"}).status_code == 409
        assert client.delete(f"{CLIPS}/{first}").status_code == 204
        assert not list((tmp_path / "out").glob("x.*"))
        maker.open.clear()
        second = client.post(CLIPS, json={"id": "X", "prompt": "b"}).json()["id"]
        wait_for(client, making=1)
        assert client.delete(f"{CLIPS}/{second}").status_code == 204
        for path in (first, second):
            assert [client.get(f"{CLIPS}/{path}{end}").status_code for end in ("", "/file")] == [404, 404]
            assert client.delete(f"{CLIPS}/{path}").status_code == 404
        maker.open.set()
        client.post(CLIPS, json={"prompt": "c"})
        wait_for(client, made=1)
        assert maker.cancelled == [second] and len(maker.made) == 2


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "/etc/hostname",
        "in/../../secret.png",
        "out.png",
        "away/secret.png",
        "~/x.png",
        "a\0.png",
        "../missing.png",
    ],
)
def test_images_outside_the_root_are_refused_whether_they_are_there_or_not(tmp_path, name):
    picture(tmp_path / "secret.png")
    picture(tmp_path / "root/in/a.png")
    (tmp_path / "root/out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "root/away").symlink_to(tmp_path)
    with serving(tmp_path, root=tmp_path / "root") as (client, _):
        answer = client.post(CLIPS, json={"images": [name], "prompt": "x"})
        assert answer.status_code == 422, answer.text
        (problem,) = answer.json()["detail"]
        there = "there is no ~/x.png" if name == "~/x.png" else "is not below the server's folder of images"
        assert there in problem and str(tmp_path) not in problem
        assert client.post(CLIPS, json={"images": ["in/a.png"]}).status_code == 202
        assert client.post(CLIPS, json={"images": [str(tmp_path / "root/in/a.png")]}).status_code == 202


def test_without_a_root_no_file_of_the_server_is_read(tmp_path):
    picture(tmp_path / "a.png")
    with serving(tmp_path) as (client, _):
        for name in ("a.png", str(tmp_path / "a.png")):
            answer = client.post(CLIPS, json={"images": [name], "prompt": "x"})
            assert answer.status_code == 422 and "send the image" in answer.json()["detail"][0]


TOO_LARGE = b"x" * 200_001


@pytest.mark.parametrize(
    ("status", "words", "request_"),
    [
        (415, "Content-Type", {"content": b"prompt: x", "headers": {"Content-Type": "application/yaml"}}),
        (415, "Content-Type", {"content": b"x"}),
        (422, "it is no JSON", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
        (422, "it is no JSON", {"content": b"[" * 90_000, "headers": {"Content-Type": "application/json"}}),
        (422, "it is no JSON", {"content": rb'{"prompt":"\ud800"}', "headers": {"Content-Type": "application/json"}}),
        (422, "it is no row", {"json": [{"prompt": "x"}]}),
        (422, "prompt: it is missing", {"json": {}}),
        (422, "step: there is no such key; the nearest is steps", {"json": {"prompt": "x", "step": 3}}),
        (422, "steps: 1 is out of range", {"json": {"prompt": "x", "steps": 1}}),
        (422, "no image that can be read; send a PNG", {"files": [("images", ("a.png", b"no image", "image/png"))]}),
        (422, "no image that can be read; send a PNG", {"files": [sent(kind="BMP")]}),
        (422, "prompt: it is a file", {"files": [("prompt", ("a.png", b"x", "image/png"))]}),
        (422, "steps: it is there twice", {"data": {"steps": ["3", "4"]}, "files": [sent()]}),
        (422, "pixels; send one of 64 million or fewer", {"files": [sent(size=(10_000, 7_000))]}),
        (413, "larger than 200000 bytes", {"content": TOO_LARGE, "headers": {"Content-Type": "application/json"}}),
        (413, "larger than 200000 bytes", {"files": [("images", ("a.png", TOO_LARGE, "image/png"))]}),
        (413, "larger than", {"content": iter([TOO_LARGE]), "headers": {"Content-Type": "application/json"}}),
        (
            413,
            "larger than",
            {"content": iter([TOO_LARGE]), "headers": {"Content-Type": f"{FORM}; boundary=x"}},
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words_and_not_kept(tmp_path, status, words, request_):
    with serving(tmp_path, most_bytes=200_000) as (client, maker):
        answer = client.post(CLIPS, **request_)
        assert answer.status_code == status and words in answer.text, answer.text
        assert client.get(CLIPS).json()["clips"] == [] and not maker.at
    assert kept(tmp_path) == []


def test_a_token_opens_all_of_the_interface_and_nothing_else_does(tmp_path):
    right = {"Authorization": f"Bearer {TOKEN}"}
    with serving(tmp_path, token=TOKEN) as (client, _):
        for given in (
            None,
            "",
            TOKEN,
            "Bearer",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            f"Basic {TOKEN}",
            "Bearer é",
        ):
            headers = {} if given is None else {"Authorization": given.encode()}
            for method, path in [("POST", CLIPS), ("GET", CLIPS), ("GET", f"{CLIPS}/x"), ("GET", f"{CLIPS}/x/file")]:
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", (given, path)
        assert client.delete(f"{CLIPS}/x").status_code == 401
        assert client.post(CLIPS, json={"prompt": "x"}, headers=right).status_code == 202
        assert client.get(CLIPS, headers=right | {"Host": "clips.example"}).status_code == 200
        assert client.get("/").status_code == 200  # the page itself asks for the token


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "clips.example"}, 403),
        ({"Host": "127.0.0.1.clips.example:8190"}, 403),
        ({"Origin": "https://clips.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9"}, 403),
        ({"Origin": "http://127.0.0.1:8190"}, 202),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 202),
    ],
)
def test_without_a_token_a_page_of_another_site_reaches_nothing(tmp_path, headers, status):
    with serving(tmp_path) as (client, _):
        assert client.post(CLIPS, data={"prompt": "x"}, files=[sent()], headers=headers).status_code == status


def test_the_addresses_are_described_and_no_page_asks_another_site(tmp_path):
    with serving(tmp_path) as (client, _):
        described = client.get("/openapi.json").json()
        assert set(described["paths"]) == {CLIPS, f"{CLIPS}/{{key}}", f"{CLIPS}/{{key}}/file"}
        body = described["paths"][CLIPS]["post"]["requestBody"]["content"]
        assert set(body) == {"application/json", "multipart/form-data"}
        for path in ("/", "/docs", "/page.js", "/page.css", "/texts.js", "/swagger/swagger-ui-bundle.js"):
            answer = client.get(path)
            assert answer.status_code == 200 and "default-src 'self'" in answer.headers["content-security-policy"]
            assert path.startswith("/swagger") or "://" not in answer.text
        assert client.get("/../app.py").status_code == client.get("/%2e%2e/app.py").status_code == 404


def test_a_full_disk_is_said(tmp_path):
    with serving(tmp_path) as (client, _):
        (tmp_path / "out/.seine-service").write_text("a file where the folder would be")
        answers = client.post(CLIPS, json={"prompt": "x"}), client.post(CLIPS, files=[sent()])
        assert [answer.status_code for answer in answers] == [507, 507]
        assert client.get(CLIPS).json()["clips"] == []
        (tmp_path / "out/.seine-service").unlink()
        (tmp_path / "out/events.jsonl").mkdir()
        for _ in range(3):  # more than there are places
            assert client.post(CLIPS, json={"prompt": "x"}).status_code == 202
            wait_for(client, failed=1)
        (tmp_path / "out/events.jsonl").rmdir()
        client.post(CLIPS, json={"prompt": "x"})
        wait_for(client, made=1, failed=0)
