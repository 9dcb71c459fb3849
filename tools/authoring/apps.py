"""Some of the workflows as apps: ComfyUI opens them as a form with what a person sets, a Run button and the result.

An app is the workflow itself, with a list of the inputs that the form shows and of the node whose result it shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.authoring.graph_formats import Workflow, interface_format
from tools.hosting.workflow_graph import TITLES

SUFFIX = ".app"
"""Before .json: by it the interface tells apps from other workflows."""
RESULT = "save"
PROMPT_HEIGHT = 120
"""Of a prompt's box, in pixels."""

_PROMPT = (("positive", "text"),)
_SEED = (("sample", "seed"),)
APPS: dict[str, tuple[tuple[str, str], ...]] = {
    "try_the_small_model": _PROMPT + _SEED,
    "image_to_video": (("image 0", "image"), *_PROMPT, *_SEED),
    "transition": (("image 0", "image"), ("image 1", "image"), *_PROMPT, *_SEED),
    "story": (*((f"image {number}", "image") for number in range(3)), ("film", "story"), ("film", "seed")),
}
"""By workflow, the inputs of its form from top to bottom: step and input."""


def app_format(workflow: Workflow, inputs: tuple[tuple[str, str], ...], object_info: dict[str, Any]) -> dict[str, Any]:
    """What the interface saves of an app."""
    ids = {name: number for number, name in enumerate(workflow.steps, 1)}
    saved = interface_format(workflow, object_info)
    shown = [
        [ids[step], key, *([{"height": PROMPT_HEIGHT}] if key in ("text", "story") else [])] for step, key in inputs
    ]
    saved["extra"] |= {"linearMode": True, "linearData": {"inputs": shown, "outputs": [ids[RESULT]]}}
    return saved


def title(name: str) -> str:
    """What the interface's list of templates shows of an app."""
    return f"{TITLES[name]}{SUFFIX}"


def files(workflows: dict[str, Workflow], object_info: dict[str, Any]) -> dict[Path, str]:
    """Path below workflows/ and content of every app."""
    return {
        Path(f"{title(name)}.json"): json.dumps(app_format(workflows[name], inputs, object_info), indent=1) + "\n"
        for name, inputs in APPS.items()
    }
