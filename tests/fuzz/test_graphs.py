"""Graphs with odd values on any wire, in a running ComfyUI: a finite result, or an error that names what is wrong."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.graph_cases import ORDINARY, PAIRS, STOCK, SUBJECT, NodeFacts, base, clips, graphs
from tests.fuzz.graph_judge import KINDS, GraphJudge, judged
from tests.graphs import Graph, clip, sampled
from tools.hosting.client import ExecutionFailed
from tools.hosting.server import PACK_NAME, REPOSITORY, ComfyServer, place_file, prepare_base

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures a server's memory by /proc")

CASES = 340
TEST_NODES = Path(__file__).with_name("odd_values")


@pytest.fixture(scope="module")
def odd_server(host, sample_model, tmp_path_factory):
    """A server of its own, with the test-only nodes beside the pack."""
    base_folder = tmp_path_factory.mktemp(f"fuzz-{host.name}")
    prepare_base(base_folder)
    place_file(TEST_NODES, base_folder / "custom_nodes" / TEST_NODES.name)
    pair = base_folder / "input" / PAIRS / "one"
    pair.mkdir(parents=True)
    for picture in ("seine_red_ball.png", "seine_yellow_ring.png"):
        place_file(REPOSITORY / "example_inputs" / picture, pair / picture)
    with ComfyServer(host, base_folder, {"seine": [sample_model]}) as running:
        yield running


@pytest.fixture(scope="module")
def facts(odd_server) -> dict[str, NodeFacts]:
    info = odd_server.client.object_info()
    return {name: NodeFacts.of(info[name]) for name in info if name.startswith("SEINE") or name in STOCK}


@pytest.fixture(scope="module")
def judge(odd_server, facts) -> GraphJudge:
    judge = GraphJudge(odd_server, {name: known.inputs for name, known in facts.items()})
    judge.warm_up(sampled(clip()))
    return judge


def test_every_node_of_the_pack_has_cases(facts):
    assert set(ORDINARY) == set(facts)


@pytest.mark.one_host
def test_odd_graphs_finish_or_are_refused_in_words(judge, facts, fuzz_seed, fuzz_cases, capsys):
    counts: dict[str, Counter] = defaultdict(Counter)
    wrong = {}
    for node_type in sorted(facts):
        try:
            _each_graph(node_type, judge, facts, fuzz_seed, (fuzz_cases or CASES) // len(facts), counts[node_type])
        except Wrong as found:
            wrong[node_type] = str(found)
    with capsys.disabled():
        print(f"\nseed {fuzz_seed}")
        for node_type, kinds in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
            print(f"  {node_type:24}" + ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS))
    assert not wrong, f"--seed {fuzz_seed}: {len(wrong)} nodes\n" + "\n\n".join(wrong.values())


class Wrong(AssertionError):
    """A graph that neither finished nor was refused in words."""


def _each_graph(
    node_type: str, judge: GraphJudge, facts: dict[str, NodeFacts], fuzz_seed: int, cases: int, counts: Counter
) -> None:
    """Raises Wrong with the smallest graph that is found to go wrong."""
    shrinking = False

    @seed(fuzz_seed)
    @settings(max_examples=max(1, cases), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(graphs({node_type: facts[node_type]}))
    def run(graph: Graph) -> None:
        nonlocal shrinking
        kind, said = judge(graph)
        if not shrinking:
            counts[kind] += 1
        if kind == "wrong":
            shrinking = True
            raise Wrong(f"{said}\n{json.dumps(graph)}")

    run()


def test_ordinary_graphs_finish(judge, facts):
    """The cases themselves: without anything odd, each node has a graph that works."""

    @seed(0)
    @settings(max_examples=1, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data) -> None:
        size = data.draw(clips())
        for node_type, known in facts.items():
            graph = base(size) | {SUBJECT: {"class_type": node_type}}
            graph[SUBJECT]["inputs"] = ORDINARY[node_type](data.draw, size, known.options())
            if known.outputs:
                graph["look"] = {"class_type": "FuzzLookAt", "inputs": {"output0": [SUBJECT, 0]}}
            assert judge(graph) == ("finished", "")

    run()


OWN, HOSTS = f"custom_nodes/{PACK_NAME}/nodes/mask.py", "comfy/sample.py"


def raised(message: str, last: str, exception_type: str = "ValueError", node_type: str = "SEINEKSampler"):
    frames = [f'  File "/somewhere/{file}", line 3, in run\n    run()\n' for file in ("execution.py", OWN, last)]
    details = {"node_id": "1", "node_type": node_type, "exception_message": message, "traceback": frames}
    return ExecutionFailed(details | {"exception_type": exception_type})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised("steps: it is 0; give a whole number from 1 to 1000", OWN), "refused by us"),
        (raised("steps: it is 0", OWN), "wrong"),
        (raised("it is 0; give a whole number from 1 to 1000", OWN), "wrong"),
        (raised("steps: it is 0; give a whole number from 1 to 1000", HOSTS), "wrong"),
        (raised("steps: it is 0; give a whole number from 1 to 1000", OWN, "TypeError"), "wrong"),
        (raised("steps: give one", OWN, node_type="KSampler"), "refused by us"),
        (raised("'NoneType' object has no attribute 'shape'", OWN, "AttributeError", "KSampler"), "wrong"),
    ],
)
def test_what_counts_as_refused_in_words(error, kind):
    assert judged(error, ("steps", "cfg"))[0] == kind


def test_what_the_hosts_own_nodes_raise_is_theirs():
    frames = ['  File "/somewhere/comfy/sample.py", line 3, in run\n    run()\n']
    details = {"node_id": "1", "node_type": "KSampler", "exception_message": "no", "exception_type": "TypeError"}
    assert judged(ExecutionFailed(details | {"traceback": frames}), ("steps",))[0] == "failed in host"


@pytest.mark.one_host
def test_a_result_that_is_not_finite_is_found(judge):
    """… and a server that is gone, or has grown, is not taken for one that works."""
    recipe = {"shape": [1, 8, 8, 3], "dtype": "float32", "fill": "one nan"}
    graph = {
        SUBJECT: {"class_type": "FuzzOddValue", "inputs": {"recipe": json.dumps(recipe)}},
        "look": {"class_type": "FuzzLookAt", "inputs": {"output0": [SUBJECT, 0]}},
    }
    kind, said = judge(graph)
    assert kind == "wrong" and "not finite" in said
    graph[SUBJECT]["inputs"]["recipe"] = json.dumps({"shape": [600_000_000], "dtype": "float32", "fill": "zero"})
    kind, said = judge(graph)
    assert kind == "wrong" and "MB of memory" in said
    graph[SUBJECT]["inputs"]["recipe"] = json.dumps({"object": "end of the server"})
    assert judge(graph)[0] == "wrong"
    graph[SUBJECT]["inputs"]["recipe"] = json.dumps(3)
    assert judge(graph) == ("finished", "")
