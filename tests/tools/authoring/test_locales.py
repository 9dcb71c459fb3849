"""Texts beside the nodes: translations and help pages are complete, current, and served to the interface."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tools.authoring import build_locales
from tools.authoring.build_locales import choices_of, differences, inputs_of, node_definitions, our_nodes, texts

REPOSITORY = Path(__file__).resolve().parents[3]
DOCS = REPOSITORY / "web" / "docs"
SECTIONS = {
    "en": ["Inputs", "Outputs", "Wiring", "Common errors", "Tips"],
    "zh": ["输入", "输出", "连接示例", "常见错误", "提示"],
}
LANGUAGES = list(SECTIONS)
SAME_IN_CHINESE = {"CLIP", "Latent", "Sigmas", "VAE", "cfg"}
"""Names that Chinese keeps as they are."""
HOST_MESSAGES = {"Value not in list"}


@pytest.fixture
def nodes(client) -> dict:
    """The pack's nodes as the running server describes them."""
    return our_nodes(client.object_info())


def is_chinese(text: str | None) -> bool:
    return bool(re.search("[\u4e00-\u9fff]", text or ""))


def untranslated(source: dict, translation: dict) -> list[str]:
    """Places of a source's texts that have no Chinese."""
    given = texts(translation)
    return [
        ".".join(place)
        for place in texts(source)
        if not is_chinese(given.get(place))
        and not (place[-1] in ("name", "display_name") and given.get(place) in SAME_IN_CHINESE)
    ]


def page(node: str, language: str) -> str:
    file = DOCS / node / f"{language}.md"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def section(node: str, language: str, number: int) -> str:
    """Text of a help page below its heading, up to the next."""
    _, _, rest = page(node, language).partition(f"\n## {SECTIONS[language][number]}\n")
    return rest.partition("\n## ")[0]


def rows(text: str) -> dict[str, list[str]]:
    """Cells of a table's rows by the code that each row begins with."""
    found = (re.match(r"\| `([^`]+)`", line) for line in text.splitlines())
    return {match[1]: [cell.strip() for cell in match.string.strip("|").split("|")] for match in found if match}


def without_help(nodes: dict, language: str) -> list[str]:
    """Inputs that a help page does not have in its table, with the name they have in that language."""
    names = texts(build_locales.load(language))
    missing = []
    for node, info in nodes.items():
        described = rows(section(node, language, 0))
        for name in inputs_of(info):
            label = names.get((node, "inputs", name, "name")) or name
            if label not in " ".join(described.get(name, [])):
                missing.append(f"{node}.{name}")
    return missing


def messages_of_the_code() -> str:
    """Every string of the code on a line of its own, with … where a value is put in."""
    lines = []
    for folder in ("nodes", "comfy_adapter", "seine_model"):
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(part, ast.JoinedStr):
                    pieces = (piece.value if isinstance(piece, ast.Constant) else "…" for piece in part.values)
                    lines.append("".join(pieces))
                elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                    lines.append(part.value)
    return "\n".join(lines)


def test_every_text_is_translated_and_explained(nodes, capsys):
    tooltips = {
        f"{node}.{name}": options.get("tooltip")
        for node, info in nodes.items()
        for name, (_, options) in inputs_of(info).items()
    }
    english, chinese = (build_locales.load(language) for language in LANGUAGES)
    no_tooltip = [name for name, tooltip in tooltips.items() if not tooltip]
    no_help = sorted({name for language in LANGUAGES for name in without_help(nodes, language)})
    no_chinese = untranslated(english, chinese)

    def done(lacking: list[str], of: dict) -> str:
        return f"{100 * (len(of) - len(lacking)) // len(of)} %"

    line = (
        f"nodes {len(nodes)}, inputs {len(tooltips)}: tooltips {done(no_tooltip, tooltips)}, "
        f"help {done(no_help, tooltips)}, zh {done(no_chinese, texts(english))}"
    )
    with capsys.disabled():
        print(f"\n{line}")
    assert (no_tooltip, no_help, no_chinese) == ([], [], [])


def test_english_is_what_the_schemas_say(nodes):
    english = build_locales.load("en")
    assert english == node_definitions(nodes), "run tools/authoring/build_locales.py"
    assert all(texts(english).values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_files_are_laid_out_as_the_tool_does(language):
    file = build_locales.FOLDER / language / "nodeDefs.json"
    assert file.read_text(encoding="utf-8") == build_locales.file_content(build_locales.load(language))


def test_pictures_of_help_pages_are_there_and_small_in_both_languages():
    """Written relative to web/docs, which is what the interface puts before them."""
    shown = {file: re.findall(r"!\[.+?\]\((.+?)\)", file.read_text(encoding="utf-8")) for file in DOCS.glob("*/*.md")}
    assert sum(map(bool, shown.values())) == 8
    for file, names in shown.items():
        assert names == shown[file.with_name("en.md")]
        assert all((DOCS / name).stat().st_size <= 200_000 for name in names)


def test_chinese_has_the_same_texts_as_english():
    assert differences(build_locales.load("en"), build_locales.load("zh")) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_has_what_the_interface_reads_as_syntax(language):
    """Its translations may refer to each other (@), take values ({}) and have plurals (|)."""
    assert [place for place, text in texts(build_locales.load(language)).items() if set(text) & set("{}|@")] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_pages_have_every_part(nodes, language):
    assert {folder.name for folder in DOCS.iterdir()} == set(nodes)
    definitions = build_locales.load(language)
    for node, info in nodes.items():
        text = page(node, language)
        title = text.partition("\n")[0]
        assert title.startswith("# ") and definitions[node]["display_name"] in title, node
        assert info["display_name"] in title, node
        assert re.findall("^## (.*)", text, re.MULTILINE) == SECTIONS[language], node
        assert all(section(node, language, number).strip() for number in range(len(SECTIONS[language]))), node
        assert "```" in section(node, language, 2), node
        outputs = rows(section(node, language, 1))
        assert list(outputs) == info["output_name"], node
        for slot, cells in enumerate(outputs.values()):
            assert definitions[node]["outputs"][str(slot)]["name"] in cells[0], f"{node} output {slot}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_pages_say_the_ranges_of_the_schemas(nodes, language):
    for node, info in nodes.items():
        described = rows(section(node, language, 0))
        assert list(described) == list(inputs_of(info)), node
        for name, (kind, options) in inputs_of(info).items():
            cell = described[name][0].replace("2⁶⁴−1", str(2**64 - 1))
            kinds = {"COMFY_AUTOGROW_V3": "IMAGE"}
            assert f"<br>{'COMBO' if isinstance(kind, list) else kinds.get(kind, kind)}" in cell, f"{node}.{name}"
            numbers = re.findall(r"(?<!\d)-?\d+(?:\.\d+)?", cell)
            wanted = [options[key] for key in ("min", "max", "step") if key in options]
            assert {json.dumps(number) for number in wanted} <= set(numbers), f"{node}.{name}"
            choices = {f"`{choice}`" for choice in choices_of(name, kind, options)}
            assert choices <= set(re.findall("`[^`]+`", cell)), f"{node}.{name}"
            if "default" in options:
                default = options["default"]
                lines = [f"`{line}`" for line in default.split("\n")] if isinstance(default, str) else []
                shown = "<br>".join(lines) or json.dumps(default)
                empty = "|default empty$|默认留空$" if default == "" else ""
                assert re.search(rf"(default|默认) {re.escape(shown)}${empty}", cell), f"{node}.{name}"


@pytest.mark.parametrize("node", sorted(path.name for path in DOCS.iterdir()))
def test_help_pages_have_the_same_tips(node):
    english, chinese = (re.findall("^- ", section(node, language, 4), re.MULTILINE) for language in LANGUAGES)
    assert len(english) == len(chinese) > 0


@pytest.mark.parametrize(("guide", "language"), [("guide.md", "en"), ("guide.zh.md", "zh")])
def test_the_guide_has_every_node(guide, language):
    listed = re.findall(r"^\| \*\*(.+?)\*\*", (REPOSITORY / "docs" / guide).read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(node["display_name"] for node in build_locales.load(language).values())


@pytest.mark.parametrize("node", sorted(path.name for path in DOCS.iterdir()))
def test_help_pages_quote_messages_that_exist(node):
    quoted = {language: list(rows(section(node, language, 3))) for language in LANGUAGES}
    assert quoted["en"] == quoted["zh"] != []
    code = messages_of_the_code()
    unknown = [text for text in quoted["en"] if text not in HOST_MESSAGES and text.strip("… ") not in code]
    assert unknown == []


def get(client, path: str) -> tuple[str, str]:
    """Type and text of what the server has at `path`."""
    answer = client.get(path)
    return answer.headers["Content-Type"].partition(";")[0], answer.content.decode()


def test_the_server_gives_texts_and_pages_to_the_interface(client, nodes):
    served = json.loads(get(client, "/i18n")[1])
    for language in LANGUAGES:
        assert served[language]["nodeDefs"] == build_locales.load(language)
    for node, info in nodes.items():
        pack = info["python_module"].split(".")[1]  # where the interface looks for a node's pages
        for language in LANGUAGES:
            kind, text = get(client, f"/extensions/{pack}/docs/{node}/{language}.md")
            assert kind != "text/html"  # which the interface takes for a missing page
            assert text == page(node, language)
