"""Every error that a user can meet has its Chinese in web/zh/errors.json, with all that the English puts in."""

import ast
import itertools
import json
import re

import pytest

from tests.test_errors import INTERNAL, REPOSITORY, ROOMS, texts_by_name

TABLE = REPOSITORY / "web" / "zh" / "errors.json"
COMMANDS = {
    "seine_model/conversion.py": "the words of tools/convert_checkpoint.py, which is typed in a terminal",
    "seine_model/writing.py": "the same",
    "seine_model/stored.py": "the same",
    "seine_model/diffusion.py": "the schedule's own arguments, for those who use it without ComfyUI",
    "seine_model/unet.py": "the network's own arguments",
}
"""Files whose errors the interface never shows, and why."""
PLACE = re.compile(r"\{(\d+)\}")
MOST_VARIANTS = 64


def variants(message: ast.AST, known: dict[str, ast.AST]) -> list[str]:
    """Every text that a message can have, its values in braces: each branch of a choice is one."""
    if isinstance(message, ast.Constant):
        return [str(message.value)]
    if isinstance(message, ast.IfExp):
        return variants(message.body, known) + variants(message.orelse, known)
    if isinstance(message, ast.BinOp) and isinstance(message.op, ast.Add):
        return _joined([variants(message.left, known), variants(message.right, known)])
    if isinstance(message, ast.JoinedStr):
        return _joined([variants(part, known) for part in message.values])
    if isinstance(message, ast.FormattedValue):
        plain = isinstance(message.value, ast.Name | ast.IfExp | ast.BinOp)
        return variants(message.value, known) if plain else ["{}"]
    if isinstance(message, ast.BinOp) and isinstance(message.op, ast.Mult) and isinstance(message.left, ast.Constant):
        return ["", str(message.left.value)]  # a plural's s
    if isinstance(message, ast.Call) and isinstance(message.func, ast.Attribute) and message.func.attr == "format":
        return [re.sub(r"\{[^}]*\}", "{}", text) for text in variants(message.func.value, known)]
    name = message.func if isinstance(message, ast.Call) else message
    if isinstance(name, ast.Name) and name.id in known:
        message = name
        return variants(known[message.id], {name: text for name, text in known.items() if name != message.id})
    return ["{}"]


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(choice) for choice in itertools.islice(itertools.product(*parts), MOST_VARIANTS)]


def messages() -> list[tuple[str, str]]:
    """File and text of each error, once for each branch of its choices."""
    trees = {
        path.relative_to(REPOSITORY).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for room in ROOMS
        for path in sorted((REPOSITORY / room).rglob("*.py"))
    }
    shared = {
        name: text
        for tree in trees.values()
        for name, text in texts_by_name(tree).items()
        if name.lstrip("_").isupper()
    }
    found = []
    for file, tree in trees.items():
        if file in INTERNAL or file in COMMANDS:
            continue
        functions = [part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)]
        given = {
            part.name: value for part in functions for value in _returned(part) if isinstance(value, ast.JoinedStr)
        }
        makers = {part.name: _returned(part) for part in functions if "Error" in ast.unparse(part.returns or part)}
        known = shared | given
        for function in functions:
            inside = known | texts_by_name(function)
            for part in ast.walk(function):
                if isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call):
                    made = makers.get(getattr(part.exc.func, "id", ""), [part.exc])
                    arguments = [error.args[0] for error in made if isinstance(error, ast.Call) and error.args]
                    found += [(file, text) for argument in arguments for text in variants(argument, inside)]
    agree = [entry for entry in found if not re.search(r"\bimage are\b|\bimages is\b", entry[1])]
    return list(dict.fromkeys(agree))


def _returned(function: ast.FunctionDef) -> list[ast.AST]:
    return [part.value for part in ast.walk(function) if isinstance(part, ast.Return) and part.value]


def table() -> dict[str, str]:
    return json.loads(TABLE.read_text(encoding="utf-8"))


def pattern(english: str) -> re.Pattern:
    """As web/js/translated_errors.js reads it: {1}, {2} … stand for anything."""
    pieces = PLACE.split(english)
    return re.compile("".join(f"(?P<v{p}>.*?)" if i % 2 else re.escape(p) for i, p in enumerate(pieces)) + r"\Z", re.S)


def translated(text: str, patterns: list[tuple[re.Pattern, str]]) -> str | None:
    """The Chinese of a text; a name before a colon may stay, when what follows has its own."""
    if " " not in text:
        return None
    for english, chinese in patterns:
        match = english.match(text)
        if match:
            for name, value in match.groupdict().items():
                chinese = chinese.replace(f"{{{name[1:]}}}", translated(value, patterns) or value)
            return chinese
    before, colon, rest = text.partition(": ")
    return f"{before}：{translated(rest, patterns)}" if colon and translated(rest, patterns) else None


@pytest.fixture(scope="module")
def patterns():
    """The most particular ones first."""
    ordered = sorted(table().items(), key=lambda entry: -len(PLACE.sub("", entry[0])))
    return [(pattern(english), chinese) for english, chinese in ordered]


def filled(text: str) -> tuple[str, list[str]]:
    """A message with a value of its own in every place."""
    numbers = itertools.count(1)
    values = [f"v{next(numbers)}v" for _ in re.findall(r"\{\}", text)]
    given = iter(values)
    return re.sub(r"\{\}", lambda _: next(given), text), values


def is_of_another_error(text: str) -> bool:
    """Nothing but a name and values: the words are those of an error that was raised elsewhere."""
    return not re.search("[a-z]{2}", text.rpartition(": ")[2].replace("{}", ""))


def lacking(found: list[tuple[str, str]], patterns) -> list[str]:
    wrong = []
    for file, text in found:
        if is_of_another_error(text):
            continue
        english, values = filled(text)
        chinese = translated(english, patterns)
        if not chinese or not re.search("[\u4e00-\u9fff]", chinese):
            wrong.append(f"{file}: no Chinese: {text}")
        elif any(value not in chinese for value in values):
            wrong.append(f"{file}: a value is lost: {text} | {chinese}")
    return wrong


def test_every_error_has_its_chinese(patterns):
    found = messages()
    assert len(found) > 150, "the errors are not found any more"
    assert lacking(found, patterns) == []


def test_what_lacks_its_chinese_is_found(patterns):
    assert lacking([("a.py", "steps: nobody has translated {} of this")], patterns) != []


def test_places_of_english_and_chinese_are_the_same():
    assert [
        english for english, chinese in table().items() if set(PLACE.findall(english)) != set(PLACE.findall(chinese))
    ] == []


def test_every_entry_is_of_a_message(patterns):
    """What is no longer raised leaves the table; parts that are put into a message are words of the code."""
    code = "".join(path.read_text(encoding="utf-8") for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
    texts = [filled(text)[0] for _, text in messages()]
    unused = dict.fromkeys(english for english in table() if english not in code)
    for text in texts:
        for rest in (text, text.partition(": ")[2]):
            found = next((entry for entry in unused if pattern(entry).match(rest)), None)
            unused.pop(found, None)
    assert list(unused) == []
