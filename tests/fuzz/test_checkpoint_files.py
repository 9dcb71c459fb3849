"""Mutated checkpoint files: a working network, or an error that names what is wrong. Nothing else, and soon."""

from __future__ import annotations

import shutil
import time
from collections import Counter, defaultdict

import pytest

pytest.importorskip("resource", reason="measures memory the POSIX way")

from tests.fuzz.judge import Judge  # noqa: E402
from tests.fuzz.mutations import Sources, mutated  # noqa: E402

CASES = 60


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return Sources.make(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def judge():
    judge = Judge()
    yield judge
    judge.close()


def test_whole_files_work(sources, judge, tmp_path):
    """The judge itself: what is whole is found to work, in every part that the file has."""
    contents = {
        "a.safetensors": sources.bundle,
        "b.safetensors": sources.unet,
        "c.pt": sources.zipped,
        "d.pt": sources.old,
        "e.safetensors": sources.scaled,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        answers = judge(tmp_path / name)
        assert {part: answers[part][0] for part in ("UNet", "converter")} == {"UNet": "works", "converter": "works"}
        assert answers["base"][0] == ("works" if name == "a.safetensors" else "refused"), answers


def test_mutated_files_work_or_are_refused_in_words(sources, judge, tmp_path, fuzz_seed, fuzz_cases, capsys):
    counts, slowest, wrong = defaultdict(Counter), Counter(), []
    for index in range(fuzz_cases or CASES):
        kind, suffix, content = mutated(fuzz_seed, index, sources)
        path = tmp_path / f"case{index}{suffix}"
        path.write_bytes(content)
        started = time.perf_counter()
        answers = judge(path)
        slowest[kind] = max(slowest[kind], time.perf_counter() - started)
        counts[kind].update(outcome for outcome, _ in answers.values())
        bad = [f"{part}: {said}" for part, (outcome, said) in answers.items() if outcome == "wrong"]
        if bad:
            wrong.append(f"--seed {fuzz_seed}, case {index} ({kind}, {path.name}):\n" + "\n".join(bad))
        else:
            path.unlink()
    shutil.rmtree(tmp_path / "converted.safetensors", ignore_errors=True)
    with capsys.disabled():
        print(f"\nseed {fuzz_seed}")
        for kind, outcomes in counts.items():
            line = ", ".join(f"{outcomes[name]} {name}" for name in ("works", "refused", "wrong"))
            print(f"  {kind:16} {line}, slowest {slowest[kind]:.1f} s")
    assert not wrong, f"{len(wrong)} files, the first of them:\n" + "\n\n".join(wrong[:5])
