"""Files of the repository that are made from what the running modern host says of its nodes."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.hosting import environment


def write(folder: Path, make: Callable[[dict[str, Any]], dict[Path, str]], script: Path, about: str) -> int:
    """Write to `folder` what `make` makes of the host's nodes; `script` is what was started. Returns an exit code.

    `about` is shown for --help.
    """
    argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    code = environment.enter(script, "client")
    if code is not None:
        return code
    from tools.hosting import hosts
    from tools.hosting.server import ComfyServer

    with (
        tempfile.TemporaryDirectory() as base,
        ComfyServer(hosts.find("modern"), Path(base)) as server,
    ):
        object_info = server.client.object_info()
    for path, content in make(object_info).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
        print(path)
    return 0
