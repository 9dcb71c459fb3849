"""The old host's interface in a browser: a workflow file is dropped, run, and its result seen."""

import json

import pytest

from tools import browser, workflow_graph
from tools.model_files import SMALL_CFG, SMALL_MODEL

RESULTS = "Object.values(app.nodeOutputs).map(output => output.images).filter(Boolean)"
DROP = """text => {
    const data = new DataTransfer()
    data.items.add(new File([text], 'workflow.json', {type: 'application/json'}))
    document.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: data}))
}"""


@pytest.fixture
def page(host, client):
    if host.name != "registry":
        pytest.skip("another interface, see test_browser.py")
    try:
        with browser.browser() as started:
            opened = browser.open_interface(started, client.address)
            opened.wait_for_timeout(1000)
            yield opened
    except LookupError as problem:
        pytest.skip(str(problem))


def test_dropped_workflow_runs_and_shows_its_result(page, client):
    available = client.object_info()
    graph = workflow_graph.for_older_hosts(workflow_graph.load("text_to_video"), available)
    settings = {"model_name": SMALL_MODEL, "base_name": "bundled", "cfg": SMALL_CFG}
    graph = workflow_graph.with_inputs(graph, **settings, width=64, height=64, frames=4, steps=4, seed=91)
    page.evaluate(DROP, json.dumps(graph))
    page.wait_for_function("count => app.graph._nodes.length == count", arg=len(graph))
    page.locator("#queue-button").click()
    page.wait_for_function(
        "() => Object.values(app.nodeOutputs).some(output => output.images?.length)", timeout=120_000
    )
    page.evaluate("() => app.canvas.centerOnNode(app.graph._nodes.find(node => node.type == 'SaveAnimatedWEBP'))")
    page.wait_for_function("() => app.graph._nodes.some(node => node.imgs?.length)")
    browser.screenshot(page, "old-interface")
    (shown,) = page.evaluate(f"() => {RESULTS}")
    assert shown[0]["filename"].endswith(".webp")
