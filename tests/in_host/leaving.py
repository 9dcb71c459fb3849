"""Leaves something behind in its process, or ends it; used by the tests of the harness."""

from __future__ import annotations

import os

import nodes


def main(code: int | None = None) -> dict[str, bool]:
    found = hasattr(nodes, "left_behind")
    nodes.left_behind = True
    if code is not None:
        print("last words", flush=True)
        os._exit(code)
    return {"found": found}
