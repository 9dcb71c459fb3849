"""The workflows' notes, groups and titles have their Chinese, which web/js/chinese.js shows."""

import json
import re

import pytest

from tools.authoring import build_workflows

TABLE = build_workflows.FOLDER.parent / "web" / "zh" / "workflows.json"


@pytest.fixture(scope="module")
def table():
    return json.loads(TABLE.read_text(encoding="utf-8"))


def test_every_text_of_the_workflows_has_its_chinese(table):
    made = build_workflows.workflows().values()
    texts = {
        "notes": {note[0] for workflow in made for note in workflow.notes},
        "groups": {group[0] for workflow in made for group in workflow.groups},
        "titles": {
            named.title for workflow in made for named in (*workflow.steps.values(), *workflow.shared) if named.title
        },
    }
    assert {kind: set(table[kind]) ^ texts[kind] for kind in texts} == dict.fromkeys(texts, set())
    assert [text for kind in table.values() for text in kind.values() if not re.search("[\u4e00-\u9fff]", text)] == []


def test_links_of_the_notes_are_kept(table):
    links = {english: re.findall(r"\(https:[^)]*\)", english) for english in table["notes"]}
    assert {english: re.findall(r"\(https:[^)]*\)", chinese) for english, chinese in table["notes"].items()} == links
