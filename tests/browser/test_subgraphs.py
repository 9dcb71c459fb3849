"""The pack's nodes put into subgraphs and taken out again by ComfyUI's own commands, in both kinds of nodes."""

import json

import pytest

from tests.browser.nodes_on_the_page import BUILDER, CLIP, RELOAD, WIRE, add
from tools.authoring.build_subgraphs import FOLDER
from tools.hosting.workflow_graph import interface_file

BLUEPRINTS = sorted(path.stem for path in FOLDER.glob("*.json"))
LOAD = "async workflow => { await app.loadGraphData(workflow) }"
COMMAND = """async ([command, types]) => {
    const {canvas} = app
    canvas.deselectAll()
    canvas.selectItems(canvas.graph.nodes.filter(node => types.includes(node.type) || node.isSubgraphNode()))
    await app.extensionManager.command.execute(`Comfy.Graph.${command}`)
}"""
PROMPT = "async () => JSON.stringify((await app.graphToPrompt()).output)"
INSIDE = """() => {
    const outer = app.graph.nodes.filter(node => node.isSubgraphNode())
    return outer.flatMap(node => node.subgraph.nodes.map(inner => inner.type)).sort()
}"""
TYPES = "() => app.graph.nodes.map(node => node.type)"
TIMELINES = """() => {
    const all = [app.graph, ...app.graph.subgraphs.values()].flatMap(graph => graph.nodes)
    const drawn = node => node.widgets?.find(widget => widget.name == 'timeline')?.element.querySelector('canvas')
    return all.filter(drawn).map(node => [node.type, drawn(node).ariaLabel, ...node.size]).sort()
}"""
"""What each says, and the node's size."""
WATCHED = "async () => (await import('/extensions/comfyui-seine/js/node_changes.js')).watching.size"
NO_COMPLAINT = "() => document.querySelectorAll('.p-toast-message').length == 0"


def prompt(page):
    """What would run, whatever the nodes' numbers are."""
    nodes = json.loads(page.evaluate(PROMPT))

    def whole(value):
        if isinstance(value, list) and len(value) == 2 and value[0] in nodes:
            return [described(value[0]), value[1]]
        return value

    def described(name):
        node = nodes[name]
        return {"class": node["class_type"], **{key: whole(value) for key, value in node["inputs"].items()}}

    return sorted(json.dumps(described(name), sort_keys=True) for name in nodes)


def command(page, name, *types):
    page.evaluate(COMMAND, [name, list(types)])
    assert page.evaluate(NO_COMPLAINT)


def into_and_out(page, *types):
    """Nodes of these types go into a subgraph, and out: what runs and what is seen stays as it was."""
    ran, seen = prompt(page), page.evaluate(TIMELINES)
    command(page, "ConvertToSubgraph", *types)
    assert page.evaluate(INSIDE) == sorted(types)
    assert prompt(page) == ran
    within = page.evaluate(TIMELINES)
    page.evaluate(RELOAD)
    assert prompt(page) == ran
    command(page, "UnpackSubgraph")
    assert page.evaluate(INSIDE) == []
    assert prompt(page) == ran
    assert page.evaluate(TIMELINES) == seen
    return within


@pytest.mark.one_host
def test_nodes_go_into_a_subgraph_and_out(nodes):
    page = nodes
    workflow = json.loads(interface_file("image_to_video").read_text(encoding="utf-8"))
    page.evaluate(LOAD, workflow)
    [(_, _, *size)] = page.evaluate(TIMELINES)
    [within] = into_and_out(page, CLIP)
    assert within[2:] == size
    ours = [kind for kind in page.evaluate(TYPES) if kind.startswith("SEINE")]
    page.evaluate(LOAD, workflow)
    into_and_out(page, *ours)


@pytest.mark.one_host
def test_a_mask_builder_with_a_wired_length_goes_into_a_subgraph(nodes):
    page = nodes
    length = add(page, "PrimitiveInt", values={"value": 9})
    builder, clip = add(page, BUILDER, 400), add(page, CLIP, 900)
    page.evaluate(WIRE, [length, builder, "frames"])
    page.evaluate(WIRE, [builder, clip, "mask"])
    says = {kind: text for kind, text, *_ in into_and_out(page, BUILDER, "PrimitiveInt")}
    assert says == {BUILDER: "1 kept, 8 generated", CLIP: "the mask says which frames are given"}
    says = {kind: text for kind, text, *_ in into_and_out(page, BUILDER)}
    assert says[BUILDER] == "frames comes by a wire, known when it runs"


@pytest.mark.one_host
def test_blueprints_are_taken_apart(nodes):
    page = nodes
    for name in BLUEPRINTS:
        blueprint = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        page.evaluate(LOAD, blueprint)
        inside, ran = page.evaluate(INSIDE), prompt(page)
        assert inside
        command(page, "UnpackSubgraph")
        assert page.evaluate(INSIDE) == []
        assert sorted(page.evaluate(TYPES)) == inside, name
        assert prompt(page) == ran, name


@pytest.mark.one_host
def test_nodes_of_a_cleared_subgraph_are_forgotten(page):
    blueprint = json.loads((FOLDER / "Transition (SEINE).json").read_text(encoding="utf-8"))
    page.evaluate(LOAD, blueprint)
    within = page.evaluate(TIMELINES)
    for _ in range(3):
        page.evaluate(RELOAD)
        # The host tells of a change when a person makes one.
        page.evaluate("() => app.api.dispatchCustomEvent('graphChanged', {})")
    assert page.evaluate(WATCHED) == len(within) > 0
    command(page, "ConvertToSubgraph")
    page.evaluate(RELOAD)
    page.evaluate("() => app.api.dispatchCustomEvent('graphChanged', {})")
    assert page.evaluate(WATCHED) == len(within), "of a subgraph in a subgraph"
    page.evaluate("() => app.graph.clear()")
    page.evaluate("() => app.api.dispatchCustomEvent('graphChanged', {})")
    assert page.evaluate(WATCHED) == 0
