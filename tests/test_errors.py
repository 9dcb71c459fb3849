"""Every error of the pack names an input, and says what to do: all `raise` statements, read as text."""

import ast
import json
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("comfy_adapter", "nodes", "seine_model")
REMEDY = re.compile(
    r"\b(use|give|choose|wire|set|lower|raise|load|put|write|shorten|rename|download|fetch|convert|start ComfyUI|close"
    r"|free|unplug|take|make|train|divide|bring|scale|fix|change|encode|name|create|unpack|check|replace|drop|build"
    r"|nearest valid)\b",
    re.IGNORECASE,
)
FILES = ("name", "path", "source", "target", "inputs", "which", "file", "base", "key", "what", "field")
"""Placeholders with one of these words stand for a file, or for an input whose name the caller gives."""
WRAPPED = ("error", "problem")
"""An error whose words are another error's, which is looked at where it is raised."""
INTERNAL = {
    "seine_model/pickle_scan.py": "caught in the same file: what cannot be followed is refused by whoever asked",
    "comfy_adapter/films/fingerprint.py": "caught in the same file: there is no fingerprint then",
    "seine_model/__init__.py": "met by those who write Python, in their own code",
}
"""Files whose errors nobody reads, and why."""
HOST = {"lora_name"}
"""Inputs of the host's own nodes that show an error of ours."""
LIBRARY = {"sample", "timestep", "timesteps", "context", "noise", "number_format", "base"} | {
    "SEINE UNet",
    "seine_config",
    "_quantization_metadata",
}
"""Arguments of the network and its schedule, for those who use them without ComfyUI, and parts of a file."""
CHECKS = {"check_latents", "check_finite"}
"""Functions that are given the remedy, last."""


def input_names(root: Path = REPOSITORY) -> set[str]:
    """Names of all inputs of all nodes, and the settings of a checkpoint's configuration."""
    nodes = json.loads((root / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    settings = ast.parse((root / "seine_model" / "config.py").read_text(encoding="utf-8"))
    fields = {part.target.id for part in ast.walk(settings) if isinstance(part, ast.AnnAssign)}
    return {name for node in nodes.values() for name in node["inputs"]} | fields | LIBRARY | HOST


def text_of(message: ast.AST, known: dict[str, ast.AST]) -> str:
    """A message with placeholders in braces; names that stand for text are looked up."""
    if isinstance(message, ast.Constant):
        return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(text_of(part, known) for part in message.values)
    if isinstance(message, ast.FormattedValue):
        inner = text_of(message.value, known) if isinstance(message.value, ast.Name | ast.IfExp) else None
        return inner or f"{{{ast.unparse(message.value)}}}"
    if isinstance(message, ast.BinOp):
        return text_of(message.left, known) + text_of(message.right, known)
    if isinstance(message, ast.IfExp):
        return text_of(message.body, known) + text_of(message.orelse, known)
    if isinstance(message, ast.Call) and isinstance(message.func, ast.Attribute) and message.func.attr == "format":
        return text_of(message.func.value, known)
    if isinstance(message, ast.Name) and message.id in known:
        return text_of(known[message.id], {key: value for key, value in known.items() if key != message.id})
    return f"{{{ast.unparse(message)}}}"


def texts_by_name(tree: ast.AST) -> dict[str, ast.AST]:
    """What names are bound to where that is text, anywhere in a file, and what its functions return."""
    kinds = (ast.Constant, ast.JoinedStr, ast.BinOp, ast.IfExp)
    return {
        target.id: part.value
        for part in ast.walk(tree)
        if isinstance(part, ast.Assign) and isinstance(part.value, kinds)
        for target in part.targets
        if isinstance(target, ast.Name)
    }


def errors_of(source: str) -> list[tuple[int, str]]:
    """Line and message of each error that a file raises; "" for one without words. Passing one on is none."""
    tree = ast.parse(source)
    known = texts_by_name(tree)
    returned = {
        part.name: [inner.value for inner in ast.walk(part) if isinstance(inner, ast.Return) and inner.value]
        for part in ast.walk(tree)
        if isinstance(part, ast.FunctionDef)
    }
    found = []
    for part in ast.walk(tree):
        if not isinstance(part, ast.Raise) or part.exc is None or _passes_on(part.exc):
            continue
        error = part.exc.orelse if isinstance(part.exc, ast.IfExp) else part.exc
        if isinstance(error, ast.Name) and isinstance(known.get(error.id), ast.Call):
            error = known[error.id]
        made = (
            returned.get(error.func.id, []) if isinstance(error, ast.Call) and isinstance(error.func, ast.Name) else []
        )
        error = made[0] if made else error
        text = text_of(error.args[0], known) if isinstance(error, ast.Call) and error.args else ""
        for name in re.findall(r"\{(\w+)\(", text):
            text += " ".join(text_of(value, known) for value in returned.get(name, ()))
        found.append((part.lineno, text))
    return found


def _passes_on(error: ast.AST) -> bool:
    """`raise error`, or a choice that includes one."""
    if isinstance(error, ast.IfExp):
        return _passes_on(error.body) and _passes_on(error.orelse)
    return isinstance(error, ast.Name) and error.id[0].islower()


def missing(text: str, names: set[str]) -> list[str]:
    """What a message lacks."""
    if not text.strip():
        return ["words"]
    placeholders = re.findall(r"\{([^}]*)\}", text)
    if any(re.search(rf"\b({'|'.join(WRAPPED)})\b", part) for part in placeholders):
        return []
    lacks = []
    named = any(re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE) for name in names)
    if not named and not any(word in part for part in placeholders for word in FILES):
        lacks.append("a name")
    said = any(word in part for part in placeholders for word in ("remedy", "advice"))
    if not said and not REMEDY.search(re.sub(r"\{[^}]*\}", "", text)):
        lacks.append("a remedy")
    return lacks


def wrong_errors(root: Path, names: set[str]) -> list[str]:
    found = []
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        file = path.relative_to(root).as_posix()
        if file not in INTERNAL:
            for line, text in errors_of(path.read_text(encoding="utf-8")):
                lacks = missing(text, names)
                if lacks:
                    found.append(f"{file}:{line} lacks {' and '.join(lacks)}: {text}")
    return found


def test_every_check_is_given_a_remedy():
    """That of what it checks, in the words of whoever knows where it came from."""
    calls = [
        (path.name, call.lineno, text_of(call.args[2], texts_by_name(tree)))
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*.py")
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in CHECKS
    ]
    assert len(calls) > 8
    assert [call for call in calls if not REMEDY.search(call[2])] == []


def test_every_error_names_an_input_and_a_remedy():
    assert wrong_errors(REPOSITORY, input_names()) == []
    count = sum(
        len(errors_of(path.read_text(encoding="utf-8"))) for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")
    )
    assert count > 100, "the errors are not found any more"


@pytest.mark.parametrize(
    ("statement", "lacks"),
    [
        ("raise ValueError", ["words"]),
        ("raise ValueError()", ["words"]),
        ("raise ValueError('')", ["words"]),
        ("raise ValueError('it is wrong')", ["a name", "a remedy"]),
        ("raise ValueError(f'{size} is wrong: choose another')", ["a name"]),
        ("raise ValueError('steps: there are too many')", ["a remedy"]),
        ("raise ValueError(f'steps: {remedy_of_none} too many')", []),
        ("WORDS = 'too many of {n}'\nraise ValueError(WORDS.format(n=3))", ["a name", "a remedy"]),
        ("WORDS = 'steps: too many of {n}, lower it'\nraise ValueError(WORDS.format(n=3))", []),
        ("def words():\n    return 'steps: lower it'\nraise ValueError(f'{words()}')", []),
        ("raise ValueError(f'{name}: it is wrong: choose another')", []),
        ("raise ValueError(f'{path.name}: {error}') from error", []),
    ],
)
def test_what_lacks_something_is_found(statement, lacks):
    ((_, text),) = errors_of(statement)
    assert missing(text, {"steps", "cfg"}) == lacks


def test_passing_on_is_no_error_of_its_own():
    assert errors_of("raise\nraise error\nraise error if known else problem") == []
