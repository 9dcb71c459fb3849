"""Prompts of forms that bring an image: as of a file of that name in a folder."""

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
