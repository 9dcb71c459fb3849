"""Runs `main(**arguments)` of a Python file inside a ComfyUI's own process: `python in_host.py REQUEST.json`.

The process is set up as the host's main.py would set it up, without a server: its modules are importable
(`import nodes`, `import comfy.samplers`), its folders lie under a base folder, and the pack is importable as
`comfyui_seine`. What `main` returns is written as JSON; so is the traceback if it fails.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType

PACK = "comfyui_seine"


def _import_from(name: str, file: Path, package: bool = False) -> ModuleType:
    folders = [str(file.parent)] if package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _set_up(request: dict) -> None:
    folder = Path(request["host_folder"])
    own = str(Path(__file__).resolve().parent)  # no part of the host
    sys.path[:] = [str(folder), *(path for path in sys.path if path != own)]
    sys.argv = [str(folder / "main.py"), "--base-directory", request["base"], *request["arguments"]]
    import comfy.options

    comfy.options.enable_args_parsing()
    # The host's modules come in the order main.py imports them; other orders meet circular imports.
    import execution  # noqa: F401

    import nodes  # noqa: F401

    _import_from(PACK, Path(request["pack"]) / "__init__.py", package=True)


def main(request_file: Path) -> None:
    request = json.loads(request_file.read_text(encoding="utf-8"))
    try:
        _set_up(request)
        import torch

        script = _import_from("in_host_script", Path(request["script"]))
        with torch.inference_mode():  # as the host runs its nodes
            answer = {"result": script.main(**request["keywords"])}
    except Exception:  # noqa: BLE001 - whatever it is goes to the caller
        answer = {"error": traceback.format_exc()}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
