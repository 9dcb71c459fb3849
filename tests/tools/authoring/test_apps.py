"""The apps: a form of inputs that a person sets, and the node whose result is shown."""

import json

import pytest

from tools.authoring import apps, build_workflows
from tools.hosting.workflow_graph import INTERFACE_FOLDER


@pytest.mark.parametrize("name", apps.APPS)
def test_an_app_shows_inputs_that_are_set_by_hand_and_the_saved_video(name):
    workflow = build_workflows.workflows()[name]
    saved = json.loads((INTERFACE_FOLDER / f"{apps.title(name)}.json").read_text(encoding="utf-8"))
    types = {node["id"]: node["type"] for node in saved["nodes"]}
    shown = saved["extra"]["linearData"]
    assert saved["extra"]["linearMode"] is True
    assert [types[node] for node in shown["outputs"]] == ["SaveVideo"]
    steps = dict(enumerate(workflow.steps.values(), 1))
    values = [steps[node].inputs[key] for node, key, *_ in shown["inputs"]]
    assert [steps[node].type for node, *_ in shown["inputs"]] == [types[node] for node, *_ in shown["inputs"]]
    assert not any(isinstance(value, tuple) for value in values), "a wire is nothing to set"
    pictures = [step for step in workflow.steps.values() if step.type == "LoadImage"]
    assert sum(types[node] == "LoadImage" for node, *_ in shown["inputs"]) == len(pictures), (
        "every picture can be chosen"
    )
