"""Writes locales/en/nodeDefs.json, the nodes' texts as translators see them: `python tools/authoring/build_locales.py`.

The texts come from the schemas of the running modern host, in the layout of the interface's own nodeDefs.json. Other
languages are written by hand: what such a file lacks or has too much is printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.authoring import from_host

FOLDER = Path(__file__).resolve().parents[2] / "locales"
SOURCE = "en"
NODE_PREFIX = "SEINE"

OUR_CHOICES: dict[str, tuple[str, ...]] = {
    "model_name": (),
    "base_name": ("bundled",),
    "sampler_name": (),
    "scheduler": (),
}
"""Inputs that offer the user's files or the host's names: the choices among them that are words of ours."""


def our_nodes(object_info: dict[str, Any]) -> dict[str, Any]:
    """The pack's nodes in a server's description of all nodes."""
    return {name: info for name, info in object_info.items() if name.startswith(NODE_PREFIX)}


def inputs_of(info: dict[str, Any]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Type (a list of choices on older hosts) and options of each input of a node."""
    sections = (info["input"].get(name, {}) for name in ("required", "optional"))
    return {name: (spec[0], spec[1] if len(spec) > 1 else {}) for section in sections for name, spec in section.items()}


def choices_of(name: str, kind: Any, options: dict[str, Any]) -> list[str]:
    """The choices of an input that are words of ours, for translation."""
    choices = kind if isinstance(kind, list) else options.get("options", [])
    return [choice for choice in choices if choice in OUR_CHOICES.get(name, choices)]


def node_definitions(object_info: dict[str, Any]) -> dict[str, Any]:
    """Every text of the pack's nodes; None where a schema has none."""
    definitions = {}
    for node, info in our_nodes(object_info).items():
        inputs = {}
        for name, (kind, options) in inputs_of(info).items():
            choices = choices_of(name, kind, options)
            inputs[name] = {
                "name": options.get("display_name") or name,
                "tooltip": options.get("tooltip"),
                **({"options": {choice: choice for choice in choices}} if choices else {}),
            }
        tooltips = info.get("output_tooltips") or [None] * len(info["output_name"])
        definitions[node] = {
            "display_name": info["display_name"],
            "description": info["description"],
            "inputs": inputs,
            "outputs": {
                str(slot): {"name": name, "tooltip": tooltip}
                for slot, (name, tooltip) in enumerate(zip(info["output_name"], tooltips, strict=True))
            },
        }
    return definitions


def file_content(definitions: dict[str, Any]) -> str:
    """Definitions as the text of a nodeDefs.json."""
    return json.dumps(definitions, indent=2, ensure_ascii=False) + "\n"


def load(language: str) -> dict[str, Any]:
    """The nodeDefs.json of a language."""
    return json.loads((FOLDER / language / "nodeDefs.json").read_text(encoding="utf-8"))


def texts(definitions: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str | None]:
    """Every text by its place, such as ("SEINEKSampler", "inputs", "cfg", "tooltip")."""
    result = {}
    for key, value in definitions.items():
        here = (*path, key)
        result |= texts(value, here) if isinstance(value, dict) else {here: value}
    return result


def differences(source: dict[str, Any], translation: dict[str, Any]) -> list[str]:
    """One line for each text that a translation lacks or has too much."""
    wanted, given = texts(source), texts(translation)
    lines = [f"missing: {'.'.join(place)}" for place in wanted if not given.get(place)]
    return lines + [f"no longer there: {'.'.join(place)}" for place in given if place not in wanted]


def files(object_info: dict[str, Any]) -> dict[Path, str]:
    """The English file; says what the translations lack or have too much."""
    definitions = node_definitions(object_info)
    for translation in sorted(FOLDER.glob("*/nodeDefs.json")):
        for line in differences(definitions, load(translation.parent.name)):
            if translation.parent.name != SOURCE:
                print(f"{translation.relative_to(FOLDER)}: {line}")
    return {Path(SOURCE) / "nodeDefs.json": file_content(definitions)}


if __name__ == "__main__":
    sys.exit(from_host.write(FOLDER, files, Path(__file__), __doc__))
