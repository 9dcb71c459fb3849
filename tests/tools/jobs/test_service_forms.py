"""Names of images: prompts are read from them, and answers have them without where they are."""

from __future__ import annotations

import pytest

from tests.tools.jobs.pictures import picture
from tests.tools.jobs.serving import Maker, checkpoint, serving
from tests.tools.jobs.test_service import CLIPS, sent, wait_for
from tools.jobs.sources import source_of

NAME = "a_red.boat.png"


@pytest.mark.parametrize("settings", [{}, {"prompt": "from --set"}, {"prompt": None}])
@pytest.mark.parametrize("fields", [{}, {"kind": "image_to_video"}, {"kind": " Extend"}, {"kind": "loop"}])
def test_it_is_that_of_a_file_of_the_images_own_name_whatever_the_kind(tmp_path, fields, settings):
    picture(tmp_path / "photos" / NAME, 0)
    of_a_folder = {key: value.strip().lower() for key, value in fields.items()} | settings
    (item,) = source_of(tmp_path / "photos", of_a_folder).jobs(checkpoint(tmp_path / "models"))
    assert item.job.prompt == (settings.get("prompt") or "a red")
    with serving(tmp_path, row=settings) as (client, _):
        answer = client.post(CLIPS, data=fields, files=[sent(name=NAME)])
        assert (answer.status_code, answer.json()["prompt"]) == (202, item.job.prompt), answer.text
        assert answer.json()["id"] == item.key
        said = client.post(CLIPS, data={"prompt": "said", **fields}, files=[sent(name=NAME)]).json()
        assert said["prompt"] == "said"


def test_a_prompt_that_no_name_says_is_asked_for(tmp_path):
    with serving(tmp_path) as (client, _):
        for fields, name in (({}, ".png"), ({"kind": "story"}, NAME)):
            answer = client.post(CLIPS, data=fields, files=[sent(name=name)])
            assert answer.status_code == 422 and "prompt: it is missing" in answer.json()["detail"][0], answer.text


def test_it_is_the_same_after_a_restart(tmp_path):
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"))
    maker.open.clear()
    with serving(tmp_path, maker) as (client, _):
        key = client.post(CLIPS, data={"kind": "extend"}, files=[sent(name=NAME)]).json()["id"]
    with serving(tmp_path) as (client, _):
        wait_for(client, made=1)
        assert client.get(f"{CLIPS}/{key}").json()["prompt"] == "a red"


def test_no_answer_says_where_files_are_on_the_server(tmp_path):
    picture(tmp_path / "root/in/b.png")
    (tmp_path / "out").mkdir()

    def told(client):
        return client.get(f"{CLIPS}/{key}").json()["inputs"]["images"], client.get(f"{CLIPS}/{key}").text

    with serving(tmp_path, root=tmp_path / "root") as (client, maker):
        form = {"prompt": "it changes", "images": "in/b.png"}
        key = client.post(CLIPS, data=form, files=[sent(name=NAME)]).json()["id"]
        wait_for(client, made=1)
        images, text = told(client)
        assert sorted(map(len, images)) == [len("b.png"), 64 + len(".png")] and "b.png" in images
        assert str(tmp_path) not in text
        (tmp_path / "out/events.jsonl").unlink()
        (tmp_path / "out/events.jsonl").mkdir()
        client.post(CLIPS, json={"prompt": "x"})
        wait_for(client, failed=1)
        listed = client.get(CLIPS).text
        assert "the folder of clips/events.jsonl cannot be written to" in listed and str(tmp_path) not in listed
        (tmp_path / "out/.seine-service/waiting").rmdir()
        (tmp_path / "out/.seine-service/waiting").touch()
        refused = client.post(CLIPS, json={"prompt": "y"})
        assert refused.status_code == 507 and str(tmp_path) not in refused.text
    (tmp_path / "out/.seine-service/waiting").unlink()
    (tmp_path / "out/events.jsonl").rmdir()
    with serving(tmp_path) as (client, _):  # read from the sidecar
        found, text = told(client)
        assert found == images and str(tmp_path) not in text
