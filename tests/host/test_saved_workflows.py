"""Workflows saved by earlier versions (tools/authoring/freeze_workflows.py) mean and do the same in this one."""

import json
from pathlib import Path

import pytest

from tests.published import other_inputs, write_models
from tools.authoring.graph_formats import Step, Workflow, interface_format
from tools.hosting import workflow_graph

FOLDER = Path(__file__).parents[1] / "saved_workflows"
SAVED = sorted(path.relative_to(FOLDER) for path in FOLDER.glob("*/*.json"))
STORY = "shot 4: a flower\ntransition 4: it opens\nshot 4: a meadow\ntransition 4: night falls\nshot 1: stars"


def saved(path):
    """Both formats of a saved workflow."""
    return tuple(json.loads(file.read_text(encoding="utf-8")) for file in (FOLDER / path, api_file(path)))


def api_file(path):
    return FOLDER / path.parent / "api" / path.name


def test_every_release_has_all_of_them():
    assert {path.parts[0] for path in SAVED} >= {"0.1.0"}
    for release in {path.parts[0] for path in SAVED}:
        names = {path.stem for path in SAVED if path.parts[0] == release}
        assert names >= {"image_to_video", "transition", "text_to_video", "extend_video", "story", "all_nodes"}


@pytest.mark.parametrize("path", SAVED, ids=str)
def test_saved_values_land_on_the_inputs_they_were_saved_for(client, host, path):
    """The interface saves widget values by their place alone: inputs may be added behind, never moved or removed."""
    interface, graph = saved(path)
    object_info = client.object_info()
    steps = {}
    for key, node in graph.items():
        info = object_info[node["class_type"]]["input"]
        known = info.get("required", {}) | info.get("optional", {})
        added = {
            name: spec[1]["default"]
            for name, spec in known.items()
            if name not in node["inputs"] and len(spec) > 1 and "default" in spec[1]
        }
        inputs = {name: tuple(value) if isinstance(value, list) else value for name, value in node["inputs"].items()}
        steps[key] = Step(node["class_type"], (0, 0), (0, 0), added | inputs)
    today = {node["id"]: node for node in interface_format(Workflow(steps, [], []), object_info)["nodes"]}
    for node in interface["nodes"]:
        if node["type"] in {"MarkdownNote"} | other_inputs(host):
            continue
        values, slots = today[node["id"]]["widgets_values"], today[node["id"]]["inputs"]
        assert values[: len(node["widgets_values"])] == node["widgets_values"], node["type"]
        linked = [(slot["name"], slot["type"]) for slot in node["inputs"] if slot["link"]]
        assert linked == [(slot["name"], slot["type"]) for slot in slots if slot["link"]]
        outputs = [(output["name"], output["type"]) for output in node["outputs"]]
        assert [(output["name"], output["type"]) for output in today[node["id"]]["outputs"]][: len(outputs)] == outputs


@pytest.fixture(scope="module")
def ready(server):
    import io

    from PIL import Image

    write_models(server.models)
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((100, 60)).convert("RGB").save(picture, "PNG")
    server.client.upload_image("example.png", picture.getvalue())


@pytest.mark.parametrize("path", [path for path in SAVED if path.stem != "all_nodes"], ids=str)
def test_saved_graphs_run(client, ready, path):
    graph = saved(path)[1]
    settings = {"width": 64, "height": 48, "steps": 2, "seed": 77}
    settings |= {"story": STORY, "window": 4, "overlap": 1} if path.stem == "story" else {"frames": 4}
    if path.stem == "extend_video":
        settings |= {"window": 4, "overlap": 1}
    files = client.files(client.run(workflow_graph.with_inputs(graph, **settings)))
    assert [Path(file.filename).suffix for file in files] == [".mp4"]
