"""The page on ComfyUI's own nodes: nothing unsaid, every node named, and its rows are what happens."""

from __future__ import annotations

import math

import pytest
import torch

from tools.authoring.compatibility import files, page, reasons
from tools.authoring.compatibility.judge import (
    ACTS,
    NOTHING,
    REFUSED,
    STOPS,
    Judge,
    Outcome,
    first_sentence,
    is_ours,
    largest_change,
)
from tools.authoring.compatibility.rows import OTHERS, OUTCOMES, STOPPED, Row, Unexplained, in_general, key_of, row_of
from tools.authoring.compatibility.settings import Case, cases_of
from tools.authoring.compatibility.stock import StockNode, stock_nodes
from tools.hosting.client import ExecutionFailed
from tools.hosting.server import ComfyServer

RERUN = (
    *("FreeU", "LoraLoaderBypassModelOnly", "SaveLatent", "UNetTemporalAttentionMultiply", "ReferenceLatent"),
    *("LTXVSpatioTemporalGuidance", "RenormCFG", "LTXVAddGuide", "WanInfiniteTalkToVideo"),
)
"""Nodes of every outcome, that are run again here."""


@pytest.fixture(scope="module")
def text() -> str:
    return page.PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(text) -> dict[str, Row]:
    return page.read(text)


@pytest.fixture
def of_the_page(host, text) -> None:
    if f"ComfyUI {host.version}:" not in text:
        pytest.skip(f"the page is of another ComfyUI than {host.version}")


def test_no_row_says_nothing(rows):
    assert len({page.name_of(key) for key in rows}) > 350
    assert {row.outcome for row in rows.values()} == set(OUTCOMES)
    unsaid = [key for key, row in rows.items() if row.outcome in (NOTHING, REFUSED, STOPPED) and not row.why]
    assert unsaid == [key for key, row in rows.items() if row.outcome == OTHERS and not row.of] == []


def test_every_reason_is_on_the_page(rows):
    assert reasons.unused(rows) == set()
    given = {**reasons.ACTS, **reasons.NOTHING, **reasons.HOST}
    assert [key for key, reason in given.items() if rows[key].why != reason] == []


@pytest.mark.one_host
def test_every_node_of_the_host_is_on_the_page(client, host, of_the_page, text, rows):
    nodes = stock_nodes(client.object_info())
    assert {key_of(name, case.label) for name, node in nodes.items() for case in cases_of(node)} == set(rows)
    written = text.partition(page.BEGIN)[2].partition(page.END)[0].strip()
    assert written == page.tables(rows, nodes, host.version), f"run {page.COMMAND}"


@pytest.mark.one_host
def test_rows_are_what_happens(host, of_the_page, rows, tmp_path_factory):
    base = tmp_path_factory.mktemp("compatibility")
    found = {}
    with ComfyServer(host, base, files.prepare(base, with_text_encoder=False)) as server:
        judge = Judge(server)
        for name in RERUN:
            for case in cases_of(judge.nodes[name]):
                found[key_of(name, case.label)] = row_of(judge.nodes[name], case.label, judge.tried(name, case))
    assert found == {key: rows[key] for key in found}
    assert {row.outcome for row in found.values()} == set(OUTCOMES)


def a_node(name: str = "New", category: str = "model/patch") -> StockNode:
    return StockNode(name, category, {}, {}, ("MODEL",), False)


def test_what_is_silently_nothing_is_no_row():
    with pytest.raises(Unexplained, match="New: changes nothing"):
        row_of(a_node(), "", Outcome(NOTHING))
    with pytest.raises(Unexplained, match="New: stops it fails"):
        row_of(a_node(), "", Outcome(STOPS, "it fails"))
    with pytest.raises(Unexplained, match="New: it was not run"):
        row_of(a_node(), "", None)
    with pytest.raises(Unexplained, match="another"):
        row_of(a_node(), "", Outcome("broken", "the plain clip after it is another"))


def test_what_becomes_a_row():
    assert row_of(a_node(), "", Outcome(ACTS, "0.5")) == Row(ACTS)
    assert row_of(a_node(), "", Outcome(REFUSED, "clips of 16 frames")) == Row(REFUSED, "`clips of … frames`")
    assert row_of(a_node(category="model/conditioning/wan/move"), "", Outcome(STOPS)) == Row(OTHERS, of="Wan")
    assert row_of(a_node("wanBlockSwap"), "", Outcome(NOTHING)).why == reasons.NOTHING["wanBlockSwap"]


def test_the_page_is_read_as_it_was_written():
    nodes = {name: a_node(name) for name in ("A B", "C", "D", "E")}
    written = {
        "A B": Row(ACTS),
        "C (one)": Row(NOTHING, "for a reason"),
        "C (two, three)": Row(ACTS, "in part"),
        "D": Row(OTHERS, of="Wan"),
        "E": Row(OTHERS, of="Flux: 1"),
    }
    table = page.tables(written, nodes, "0")
    assert page.read(f"{page.BEGIN}\n{table}\n{page.END}") == written
    with pytest.raises(ValueError, match="twice"):
        page.read(f"{page.BEGIN}\n{table}\n{table}\n{page.END}")


def test_a_change_is_measured():
    plain = {"first": torch.tensor([1.0, -4.0]), "second": torch.tensor([0.0, 1.0])}
    assert largest_change(plain, plain) == 0
    assert largest_change(plain | {"first": torch.tensor([1.0, -2.0])}, plain) == 0.5
    assert largest_change(plain | {"second": torch.tensor([-0.0, 1.0 + 2**-23])}, plain) > 0
    assert largest_change(plain | {"second": torch.zeros(3)}, plain) == math.inf


def raised(message: str, *frames: tuple[str, str]) -> ExecutionFailed:
    traceback = [f'  File "/somewhere/{file}", line 3, in run\n    {line}\n' for file, line in frames]
    details = {"node_id": "1", "node_type": "KSampler", "exception_type": "ValueError"}
    return ExecutionFailed(details | {"exception_message": message, "traceback": traceback})


def test_whose_words_they_are():
    host, ours = "comfy/samplers.py", "custom_nodes/comfyui-seine/comfy_adapter/model.py"
    assert is_ours(raised("no", (host, "run()"), (ours, "raise ValueError(")))
    assert not is_ours(raised("no", (ours, "run()"), (host, "raise ValueError(")))
    assert not is_ours(raised("no", (host, "run()"), (ours, "a, b = c")))


def test_words_are_those_of_any_clip():
    said = "The conditioning is for clips of 4 frames, the latent has 1. Use the latent of the same SEINE node."
    assert in_general(first_sentence(raised(said))) == "The conditioning is for clips of … frames, the latent has …"
    said = "latent_image: expected frames as batch rows [frames, 4, h, w], got [1, 16, 2] of torch.float32. Use it"
    assert in_general(first_sentence(raised(said))) == (
        "latent_image: expected frames as batch rows [frames, 4, h, w], got …"
    )
    said = "model: needs Stable Diffusion 1.5"
    assert in_general(first_sentence(raised(said))) == said


def test_a_trace_on_the_plain_clip_is_found():
    class Server:
        client = type("Client", (), {"object_info": staticmethod(dict)})

    class OnPaper(Judge):
        """Instead of a server: after the node was run, the plain clip is another."""

        traced = 0.0

        def _latents(self, graph, seconds):
            if "subject" in graph:
                OnPaper.traced = 1.0
                return {"saved first": torch.tensor([2.0])}
            return {"saved first": torch.tensor([3.0 + self.traced])}

        def _files(self):
            return set()

    judge = OnPaper(Server())
    judge.nodes["New"] = a_node()
    found = judge("New", Case())
    assert found.kind == "broken" and "the plain clip after it is another" in found.words
