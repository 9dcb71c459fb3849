"""The subgraph blueprints: current, consistent, and offered by the host."""

import json
from pathlib import Path

import pytest

from tools.authoring import build_subgraphs

FOLDER = Path(__file__).parents[3] / "subgraphs"
NAMES = sorted(build_subgraphs.BLUEPRINTS)


def definition(name):
    (only,) = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["definitions"]["subgraphs"]
    return only


@pytest.mark.parametrize("name", NAMES)
def test_every_link_joins_what_it_says(name):
    inside = definition(name)
    nodes = {node["id"]: node for node in inside["nodes"]}
    for link in inside["links"]:
        if link["origin_id"] == build_subgraphs.INPUT_NODE:
            port = inside["inputs"][link["origin_slot"]]
            assert link["id"] in port["linkIds"] and port["type"] == link["type"]
        else:
            output = nodes[link["origin_id"]]["outputs"][link["origin_slot"]]
            assert link["id"] in output["links"] and output["type"] == link["type"]
        if link["target_id"] == build_subgraphs.OUTPUT_NODE:
            assert link["id"] in inside["outputs"][link["target_slot"]]["linkIds"]
        else:
            slot = nodes[link["target_id"]]["inputs"][link["target_slot"]]
            assert slot["link"] == link["id"] and slot["type"] == link["type"]
    linked = [link_id for node in nodes.values() for slot in node["inputs"] if (link_id := slot["link"])]
    assert len(linked) == len(set(linked)) == len(inside["links"]) - 1


@pytest.mark.parametrize("name", NAMES)
def test_size_and_length_are_set_once(name):
    ports = {port["name"]: port for port in definition(name)["inputs"]}
    if name == "Story (SEINE)":
        assert {"images", "story", "fps", "width", "height", "seed", "model_name", "resize_mode"} <= ports.keys()
    else:
        assert {"prompt", "negative", "frames", "width", "height", "seed", "model_name"} <= ports.keys()
        assert ("resize_mode" in ports) == (name != "Text to Video (SEINE)")
    assert {len(port["linkIds"]) for port in ports.values()} == {1}


@pytest.mark.parametrize("name", NAMES)
def test_they_give_a_video_and_show_the_sampler_s_preview(name):
    file = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    (inside,), (outer,) = file["definitions"]["subgraphs"], file["nodes"]
    assert [output["type"] for output in (*inside["outputs"], *outer["outputs"])] == ["VIDEO", "VIDEO"]
    types = {str(node["id"]): node["type"] for node in inside["nodes"]}
    (shown,) = outer["properties"]["previewExposures"]
    assert types[shown["sourceNodeId"]] in ("SEINEKSampler", "SEINEStory")


def test_committed_files_are_what_the_description_gives(client):
    made = build_subgraphs.files(client.object_info())
    assert {path.name for path in made} == {path.name for path in FOLDER.iterdir()}
    for path, content in made.items():
        assert (FOLDER / path).read_text(encoding="utf-8") == content, f"{path}: run tools/authoring/build_subgraphs.py"


def test_host_offers_them(client):
    ours = [entry["name"] for entry in client.subgraphs().values() if "comfyui-seine" in str(entry["info"])]
    assert sorted(ours) == NAMES
