"""Tries ComfyUI's own nodes on SEINE and writes what happens into docs/compatibility.md.

    python tools/authoring/build_compatibility.py             all of them: ten to twenty minutes on two cores
    python tools/authoring/build_compatibility.py FreeU APG   these alone: printed, nothing written

It runs them in the modern host. Results are kept in the cache folder, so that a run that was stopped goes on; they
count as long as neither the pack, nor the host, nor this tool has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.hosting import environment

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = ("seine_model", "comfy_adapter", "nodes", "tools/hosting", "tools/authoring/compatibility")
"""What results depend on, beside the host."""
SLOW = "TorchCompileModel"
"""Run last: the server still compiles when it is done."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "nodes", nargs="*", help="names of nodes to try; all, and the page written, where none is named"
    )
    names = parser.parse_args().nodes
    code = environment.enter(Path(__file__), "client", "torch", "training")
    if code is not None:
        return code
    from tools.authoring.compatibility import files, page
    from tools.authoring.compatibility.judge import Judge
    from tools.authoring.compatibility.rows import Unexplained, row_of
    from tools.hosting import hosts
    from tools.hosting.server import ComfyServer

    host = hosts.find("modern")
    with tempfile.TemporaryDirectory() as base, ComfyServer(host, Path(base), files.prepare(Path(base))) as server:
        judge = Judge(server)
        unknown = sorted(set(names) - set(judge.nodes))
        if unknown:
            parser.error(f"ComfyUI {host.version} has no such node that a clip can meet: {', '.join(unknown)}")
        store = Results(host.version)
        rows, problems = {}, []
        for key, name, label, outcome in results(judge, store, names):
            try:
                rows[key] = row_of(judge.nodes[name], label, outcome)
                said = " ".join(filter(None, (rows[key].outcome, rows[key].of, rows[key].why)))
            except Unexplained as problem:
                problems.append(str(problem))
                said = f"UNEXPLAINED {problem}"
            print(f"{key}: {said}", flush=True)
    if problems:
        print("\nnot written, for want of a reason:", *problems, sep="\n", file=sys.stderr)
        return 1
    if not names:
        page.write(
            page.tables(dict(sorted(rows.items(), key=lambda row: row[0].casefold())), judge.nodes, host.version)
        )
        print(page.PAGE.relative_to(REPOSITORY))
    return 0


def results(judge, store: Results, names: list[str]) -> Iterator[tuple]:
    """Key, name, label and outcome of each case; None for the outcome of what is not run."""
    from tools.authoring.compatibility.rows import key_of
    from tools.authoring.compatibility.settings import cases_of

    for name in sorted(names or judge.nodes, key=lambda each: (each == SLOW, each.casefold())):
        for case in cases_of(judge.nodes[name]):
            key = key_of(name, case.label)
            outcome = None if names else store.get(key)
            if outcome is None:
                outcome = judge.tried(name, case)
                if outcome is not None:
                    store.put(key, outcome)
            yield key, name, case.label, outcome


class Results:
    """Outcomes by key, kept in a file of the cache folder for as long as the code and the host are the same."""

    def __init__(self, version: str) -> None:
        self._file = environment.cache_folder() / "compatibility.json"
        self._of = [version, digest()]
        kept = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        self._outcomes = kept["outcomes"] if kept.get("of") == self._of else {}

    def get(self, key: str):
        from tools.authoring.compatibility.judge import BROKEN, Outcome

        known = self._outcomes.get(key)
        return Outcome(**known) if known and known["kind"] != BROKEN else None

    def put(self, key: str, outcome) -> None:
        self._outcomes[key] = outcome.to_json()
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps({"of": self._of, "outcomes": self._outcomes}, indent=1), encoding="utf-8")
        partial.replace(self._file)  # whole, whenever this is stopped


def digest() -> str:
    """Of all the code that results depend on, but for the reasons, which only explain them."""
    paths = sorted(path for folder in CODE for path in (REPOSITORY / folder).rglob("*.py"))
    explaining = ("reasons.py", "rows.py", "page.py")
    content = b"".join(path.read_bytes() for path in paths if path.name not in explaining)
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
