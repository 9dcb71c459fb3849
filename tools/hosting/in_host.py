"""Runs `main(**arguments)` of a Python file inside a ComfyUI's own process: `python in_host.py REQUEST.json`.

The process is set up as the host's main.py would set it up, without a server: its modules are importable
(`import nodes`, `import comfy.samplers`), its folders lie under a base folder, and the pack is importable as
`comfyui_seine`. What `main` returns is written as JSON; so is the traceback if it fails.

`python in_host.py REQUEST.json --stay` sets the process up as that request says and then reads more of them, one file
name a line: each runs in a fork of its own, and a line with its exit code says that it has ended.
"""

from __future__ import annotations

import importlib.util
import json
import os
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


def _read(request_file: str) -> dict:
    return json.loads(Path(request_file).read_text(encoding="utf-8"))


def _answer(request: dict, set_up: bool) -> None:
    try:
        if set_up:
            _set_up(request)
        import torch

        script = _import_from("in_host_script", Path(request["script"]))
        with torch.inference_mode():  # as the host runs its nodes
            answer = {"result": script.main(**request["keywords"])}
    except Exception:  # noqa: BLE001 - whatever it is goes to the caller
        answer = {"error": traceback.format_exc()}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def _answer_in_a_fork(request: dict) -> int:
    """The exit code of the fork, negative where a signal ended it. It writes into the request's `output`."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
            os.dup2(file, stream)
        _answer(request, set_up=False)
        code = 0
    except BaseException:  # noqa: BLE001 - what would have ended a process of its own
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _stay(request: dict) -> None:
    ended = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed at import is no answer
    _set_up(request)
    for line in sys.stdin:
        print(_answer_in_a_fork(_read(line.strip())), file=ended, flush=True)


if __name__ == "__main__":
    if "--stay" in sys.argv[2:]:
        _stay(_read(sys.argv[1]))
    else:
        _answer(_read(sys.argv[1]), set_up=True)
