"""Keeps workflows as this version saves them: `python tools/authoring/freeze_workflows.py`, once for each release.

They go to tests/saved_workflows/VERSION, and a test loads and runs them in every later version: some of the templates,
and a graph of all nodes, unwired, with their default values.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.authoring import build_workflows, from_host
from tools.authoring.build_locales import our_nodes
from tools.authoring.graph_formats import WIDGET_TYPES, Step, Workflow, api_format, interface_format
from tools.hosting.model_files import BASE, SEINE

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "tests" / "saved_workflows"
TEMPLATES = ("image_to_video", "transition", "text_to_video", "extend_video", "story")
FILES = {"model_name": SEINE.name, "base_name": BASE.name}


def version() -> str:
    return re.search(r'^version = "(.+)"', (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), re.M)[1]


def all_nodes(object_info: dict[str, Any]) -> Workflow:
    """Every node of the pack with the values it has when it is added."""
    steps = {
        name: Step(name, (420 * index, 0), (380, 400), _defaults(info))
        for index, (name, info) in enumerate(sorted(our_nodes(object_info).items()))
    }
    return Workflow(steps, [], [])


def _defaults(info: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for key, (kind, *options) in (info["input"].get("required", {}) | info["input"].get("optional", {})).items():
        choices = kind if isinstance(kind, list) else options[0].get("options") if options else None
        if key in FILES:
            values[key] = FILES[key]
        elif isinstance(kind, list) or kind in WIDGET_TYPES:
            values[key] = options[0]["default"] if options and "default" in options[0] else choices[0]
    return values


def files(object_info: dict[str, Any]) -> dict[Path, str]:
    """Path below tests/saved_workflows and content of every file."""
    workflows = {name: build_workflows.workflows()[name] for name in TEMPLATES} | {"all_nodes": all_nodes(object_info)}
    result = {}
    for name, workflow in workflows.items():
        formats = {f"{name}.json": interface_format(workflow, object_info), f"api/{name}.json": api_format(workflow)}
        for path, content in formats.items():
            result[Path(version()) / path] = json.dumps(content, separators=(",", ":")) + "\n"
    return result


if __name__ == "__main__":
    sys.exit(from_host.write(FOLDER, files, Path(__file__), __doc__))
