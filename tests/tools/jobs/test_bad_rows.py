"""Rows, values and names that no reader expects: each is an error of its own, and the others go on."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.tools.jobs.pictures import picture
from tests.tools.jobs.test_local import lines
from tests.tools.test_batch import dry
from tools.jobs.found import Problem
from tools.jobs.making import look
from tools.jobs.models import models_of
from tools.jobs.results import Results
from tools.jobs.sources import source_of

LATIN = b"caf\xe9"
"""As it was written on a system of another encoding."""
GOOD = '{"prompt": "good"}'
BAD_JSON = [
    (r'{"prompt": "half \ud800"}', "prompt: 'half \\ud800' has half a character"),
    (r'{"prompt": "x", "negative": "\udfff"}', "negative: "),
    (r'{"prompt": "x", "id": "\ud83d"}', "id: "),
    (r'{"images": ["\udce9.png"]}', "images: '\\udce9.png' is no UTF-8 text"),
    (r'{"prompt": "x", "\ud800": 1}', "there is no such key"),
    (json.dumps({"prompt": "x", "images": "a" * 300}), "cannot be looked for (File name too long)"),
    (json.dumps({"prompt": "x", "images": ["a\0.png"]}), "images: 'a\\x00.png' cannot be looked for"),
    (json.dumps({"prompt": "x", "images": ["good.jsonl/a.png"]}), "images: there is no good.jsonl/a.png"),
    (f'{{"prompt": "x", "cfg": {"1" * 400}}}', "cfg: "),
]
BAD_YAML = [
    ("prompt: 2024-13-45", "month must be in 1..12"),
    ("prompt: 2024-12-13", "is not text; write it in quotes"),
    ("seed: !!int ''", "it cannot be read"),
    ("prompt: !!timestamp soon", "it cannot be read"),
    ("prompt: !!bool perhaps", "it cannot be read"),
    ("? [a, b]\n  : c", "it cannot be read"),
    (r'prompt: "\ud800"', "half a character"),
]


def in_latin(folder, name="%s"):
    """A path whose name is no UTF-8."""
    return os.fsdecode(os.fsencode(folder / name).replace(b"%s", LATIN))


def read(path, folder, settings=None):
    """The prompts of a source, and its problems as text; all can be written down."""
    results = Results(folder / "out")
    results.folder.mkdir(exist_ok=True)
    (results.folder / "failed.jsonl").unlink(missing_ok=True)
    items = list(source_of(path, settings or {}).jobs(models_of(None, None, [], [])))
    problems = [item for item in items if isinstance(item, Problem)]
    look(lambda: items, results, str)
    assert len(lines(results.folder / "failed.jsonl")) == len(problems)
    return [item.job.prompt for item in items if not isinstance(item, Problem)], [str(each) for each in problems]


@pytest.mark.parametrize(("bad", "words"), BAD_JSON)
def test_a_row_of_json(tmp_path, monkeypatch, bad, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.jsonl").write_text("\n".join([GOOD, bad, GOOD]))
    prompts, wrong = read(tmp_path / "good.jsonl", tmp_path)
    assert prompts == ["good", "good"] and len(wrong) == 1
    assert wrong[0].startswith("good.jsonl, row 2 (line 2): ") and words in wrong[0]


@pytest.mark.parametrize(("bad", "words"), BAD_YAML)
def test_a_row_of_yaml(tmp_path, bad, words):
    (tmp_path / "rows.yaml").write_text(f"- prompt: a\n- {bad}\n- prompt: b\n")
    prompts, wrong = read(tmp_path / "rows.yaml", tmp_path)
    assert prompts == ["a", "b"] and wrong[0].startswith("rows.yaml, row 2 (line 2): ") and words in wrong[0]


def test_rows_that_are_nested_beyond_reading_end_a_file_in_words(tmp_path):
    (tmp_path / "rows.yaml").write_text(f"- prompt: a\n- prompt: {'[' * 5000}\n- prompt: b\n")
    prompts, wrong = read(tmp_path / "rows.yaml", tmp_path)
    assert prompts == ["a"] and "it cannot be read on: " in wrong[0]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("settings", [{}, {"prompt": "said"}])
def test_names_in_another_encoding(tmp_path, settings):
    photos = tmp_path / "photos"
    for name in ("good.png", "pair/1.png", "pair/2.png"):
        picture(photos / name)
    try:
        os.rename(picture(photos / "pair/1.png"), in_latin(photos / "pair", "1%s.png"))  # nothing is read from this one
        os.rename(picture(photos / "x.png"), in_latin(photos, "%s.png"))
        os.rename(picture(photos / "x/1.png").parent, in_latin(photos, "folder_%s"))
    except OSError:
        pytest.skip("this file system has no such names")
    os.rename(photos, in_latin(tmp_path))
    prompts, wrong = read(tmp_path / os.fsdecode(LATIN), tmp_path, settings)
    assert prompts == ([settings["prompt"]] * 2 if settings else ["good", "pair"])
    assert [line.partition(": ")[0] for line in wrong] == [r"caf\udce9/caf\udce9.png", r"caf\udce9/folder_caf\udce9"]
    assert all(line.endswith("its name is no UTF-8 text, and a prompt is read from it; rename it") for line in wrong)
    ran = dry(tmp_path, os.fsdecode(LATIN))
    assert ran.returncode == 1 and "Traceback" not in ran.stderr
    printed = [json.loads(line)["images"][0] for line in ran.stdout.splitlines()]
    assert all(os.path.exists(path) for path in printed) and len(printed) == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="all is open to the superuser")
def test_what_may_not_be_read(tmp_path):
    closed = picture(tmp_path / "photos/closed/1.png").parent
    picture(tmp_path / "photos/good.png")
    (tmp_path / "rows.jsonl").write_text("\n".join([GOOD, '{"images": ["photos/closed/1.png"]}', GOOD]))
    closed.chmod(0)
    try:
        for source, good in (("photos", 1), ("rows.jsonl", 2)):
            prompts, wrong = read(tmp_path / source, tmp_path)
            assert len(prompts) == good and len(wrong) == 1 and "Permission denied" in wrong[0]
    finally:
        closed.chmod(0o700)


def test_a_source_whose_name_is_none(tmp_path):
    ran: subprocess.CompletedProcess = dry(tmp_path, "a" * 300)
    assert ran.returncode == 2 and "there is no such file or folder" in ran.stderr
