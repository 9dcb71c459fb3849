"""Writes the nodes' part of docs/compatibility.md: `python tools/authoring/build_compatibility.py`.

Every node of ComfyUI itself that gives what a sampler takes is tried in a running server, one after the other, on a
model with made-up weights (see survey.py). Fails where one changes nothing and BY_DESIGN has no reason for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.authoring.survey import BY_DESIGN, KINDS, Found, survey
from tools.hosting import environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
BEGIN, END = "<!-- nodes: begin -->", "<!-- nodes: end -->"
TITLES = {
    "acts": "Act",
    "equal": "Change nothing, by design",
    "refused": "Refused, in SEINE's words",
    "fails": "Refused, or failing, by the node itself",
    "needs": "Need something that is none of SEINE's",
    "slow": "Not waited for: they take minutes on a CPU",
}


def section(found: Sequence[Found]) -> str:
    """The page's part on the host's nodes, in Markdown."""
    lines = []
    for kind in KINDS:
        of_kind = [each for each in found if each.kind == kind]
        lines += [f"### {kind} ({len(of_kind)})", ""]
        for answer, title in TITLES.items():
            lines += _group(title, [each for each in of_kind if each.answer == answer])
    return "\n".join(lines).rstrip() + "\n"


def _group(title: str, found: Sequence[Found]) -> list[str]:
    if not found:
        return []
    if not any(_note(each) for each in found):
        return [f"**{title}** ({len(found)}): " + ", ".join(f"`{each.node}`" for each in found) + ".", ""]
    by_note: dict[str, list[str]] = {}
    for each in found:
        by_note.setdefault(_note(each), []).append(f"`{each.node}`")
    rows = [f"| {', '.join(names)} | {note} |" for note, names in by_note.items()]
    return [f"**{title}** ({len(found)}):", "", "| Nodes | |", "|---|---|", *rows, ""]


def _note(found: Found) -> str:
    if found.answer == "equal":
        return BY_DESIGN.get(found.node, "")
    words = " ".join(found.words.split()).replace("|", "\\|")
    return f"{words[:157]}…" if len(words) > 160 else words


def unexplained(found: Iterable[Found]) -> list[str]:
    """Nodes that change nothing, silently."""
    return [each.node for each in found if each.answer == "equal" and each.node not in BY_DESIGN]


def with_section(page: str, text: str) -> str:
    """The page with its part between the marks replaced."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}"


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    code = environment.enter(Path(__file__), "tests")
    if code is not None:
        return code
    from tools.hosting import hosts
    from tools.hosting.sample_bundle import sample_bundle
    from tools.hosting.server import ComfyServer

    found = []
    with tempfile.TemporaryDirectory() as folder:
        model = sample_bundle(Path(folder) / "sample.safetensors")
        with ComfyServer(hosts.find("modern"), Path(folder) / "server", {"seine": [model]}) as server:
            for each in survey(server.client, server.client.object_info(), model.name):
                print(f"{each.node}: {each.answer} {each.words}"[:120])
                found.append(each)
    PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8"), section(found)), encoding="utf-8")
    silent = unexplained(found)
    if silent:
        print(f"These change nothing, and nothing says why: {', '.join(silent)}", file=sys.stderr)
    return int(bool(silent))


if __name__ == "__main__":
    sys.exit(main())
