"""Who may import whom, as docs/architecture.md draws it."""

import ast
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MAY_IMPORT = {
    "seine_model": set(),
    "comfy_adapter": {"seine_model"},
    "comfy_adapter.films": {"comfy_adapter", "seine_model"},
    "nodes": {"comfy_adapter.films", "comfy_adapter", "seine_model"},
    "tools.hosting": {"seine_model"},
    "tools.training": {"tools.hosting", "seine_model"},
    "tools.authoring": {"tools.training", "tools.hosting", "seine_model"},
    "tools.jobs": {"tools.hosting", "seine_model"},
    "tools": {"tools.authoring", "tools.jobs", "tools.training", "tools.hosting", "seine_model"},
}
"""Each room, and the rooms its files may import beside itself."""
HOST = {"comfy", "comfy_execution", "comfy_extras", "execution", "folder_paths", "latent_preview", "server"}
"""Modules of ComfyUI. `comfy_api` is what it offers to nodes, the others are its internals."""
OTHERS = HOST | {"comfy_api", "comfyui_seine", "tests", "benchmarks"}
HOST_FOR = {"comfy_adapter": HOST | {"comfy_api"}, "comfy_adapter.films": HOST, "nodes": {"comfy_api"}}
RUN_IN_HOST = {"tools/hosting/in_host.py", "tools/hosting/made_up/__init__.py", "tools/training/encode_clips.py"}
"""Scripts that run inside ComfyUI's process, where the pack is `comfyui_seine`."""


def room_of(module: str) -> str | None:
    """The longest room that the module is in; None for what is not the project's."""
    return max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len, default=None)


def imported(path: Path, root: Path) -> list[str]:
    """Full names of the modules, and of what is taken from them, that a file imports anywhere in it."""
    package = path.relative_to(root).parent.parts
    names = []
    for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(part, ast.Import):
            names += [alias.name for alias in part.names]
        elif isinstance(part, ast.ImportFrom):
            above = package[: len(package) - part.level + 1] if part.level else ()
            module = ".".join([*above, *filter(None, [part.module])])
            names += [f"{module}.{alias.name}" for alias in part.names]
    return names


def wrong_imports(root: Path) -> list[str]:
    """``file: module`` of every import that goes in no allowed direction."""
    wrong = []
    for top in sorted({room.partition(".")[0] for room in MAY_IMPORT}):
        for path in sorted((root / top).rglob("*.py")):
            file = path.relative_to(root).as_posix()
            if file in RUN_IN_HOST:
                continue
            own = room_of(file.removesuffix("/__init__.py").removesuffix(".py").replace("/", "."))
            for name in imported(path, root):
                room, first = room_of(name), name.partition(".")[0]
                if room is None:
                    allowed = first not in OTHERS or first in HOST_FOR.get(own, ())
                else:
                    allowed = room == own or room in MAY_IMPORT[own]
                if not allowed:
                    wrong.append(f"{file}: {name}")
    return wrong


def test_imports_go_one_way():
    assert wrong_imports(REPOSITORY) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("seine_model/planted.py", "from ..comfy_adapter import memory"),
        ("seine_model/planted.py", "import comfy.model_management"),
        ("seine_model/planted.py", "from tools.training.trainer import Trainer"),
        ("comfy_adapter/planted.py", "from ..nodes import NODES"),
        ("comfy_adapter/planted.py", "from .films.film import FilmMaker"),
        ("comfy_adapter/films/planted.py", "from nodes import CLIPTextEncode"),
        ("nodes/planted.py", "def f():\n    import folder_paths"),
        ("nodes/planted.py", "from tools.hosting import server"),
        ("tools/hosting/planted.py", "from tools.training import trainer"),
        ("tools/hosting/planted.py", "from tools import demo"),
        ("tools/training/planted.py", "from tools.authoring import from_host"),
        ("tools/planted.py", "from comfy_adapter import loading"),
        ("tools/jobs/planted.py", "from tools.training import trainer"),
        ("tools/hosting/planted.py", "from tools.jobs import job"),
        ("tools/authoring/planted.py", "from tests import graphs"),
    ],
)
def test_a_planted_import_in_the_wrong_direction_is_found(tmp_path, file, line):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(line, encoding="utf-8")
    (found,) = wrong_imports(tmp_path)
    assert found.startswith(f"{file}: ")


@pytest.mark.parametrize("line", ["from ..comfy_adapter.keyframes import MASK", "from comfy_api.v0_0_2 import io"])
def test_an_import_in_the_right_direction_is_none(tmp_path, line):
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "planted.py").write_text(line, encoding="utf-8")
    assert wrong_imports(tmp_path) == []


def test_the_network_needs_only_what_the_readme_says():
    """Of everything `seine_model` imports; kornia is for matching colours alone, and Triton where PyTorch brings it."""
    outside = {
        name.partition(".")[0]
        for path in (REPOSITORY / "seine_model").glob("*.py")
        for name in imported(path, REPOSITORY)
        if room_of(name) is None
    }
    assert outside - set(sys.stdlib_module_names) == {"torch", "safetensors", "kornia", "triton"}


def test_tests_that_share_a_report_run_in_one_process(request):
    """Where several processes share the work: else each would make what a file's tests have in common."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@tests/test_architecture.py")
