"""A blueprint's node plays the clip of the sampler within, in both kinds of nodes."""

import hashlib
import json

import pytest

from tools.authoring.build_subgraphs import FOLDER
from tools.hosting import browser
from tools.hosting.model_files import SMALL_CFG, SMALL_MODEL

OPEN = """async ([blueprint, values]) => {
    await app.loadGraphData(blueprint)
    const outer = app.graph._nodes[0]
    const save = LiteGraph.createNode('SaveVideo')
    save.pos = [600, 0]
    app.graph.add(save)
    outer.connect(0, save, 0)
    for (const widget of outer.widgets)
        if (widget.name in values) { widget.value = values[widget.name]; widget.callback?.(widget.value) }
    app.canvas.ds.scale = 0.7
    app.canvas.ds.offset[0] = 200
    app.canvas.ds.offset[1] = 150
    app.canvas.setDirty(true, true)
}"""
BELOW = """() => {
    const node = app.graph._nodes.find(node => node.isSubgraphNode?.())
    const [x, y] = app.canvas.ds.convertOffsetToCanvas([node.pos[0], node.pos[1] + node.size[1] + 30])
    const {left, top} = app.canvas.canvas.getBoundingClientRect()
    return {x: x + left, y: y + top, width: node.size[0] * 0.7, height: 60}
}"""
WITHIN = "() => !!document.querySelector('[data-node-id] img[src^=\"blob:\"]')?.clientHeight"


@pytest.mark.one_host
@pytest.mark.parametrize("vue", [False, True], ids=["classic", "vue"])
def test_clip_plays_at_the_blueprint_s_node(served, chromium, vue):
    browser.save_settings(served.client.address, {"Comfy.VueNodes.Enabled": vue})
    page = browser.open_interface(chromium, served.client.address)
    try:
        blueprint = json.loads((FOLDER / "Text to Video (SEINE).json").read_text(encoding="utf-8"))
        values = {"model_name": SMALL_MODEL, "base_name": "bundled", "width": 64, "height": 64, "cfg": SMALL_CFG}
        page.evaluate(OPEN, [blueprint, values | {"steps": 80, "seed": 10 + vue, "prompt": "a red ball moves right"}])
        page.wait_for_timeout(500)
        page.get_by_test_id("queue-button").click()
        if vue:
            page.wait_for_function(WITHIN)
        else:
            place, seen = page.evaluate(BELOW), set()
            for _ in range(60):
                seen.add(hashlib.sha256(page.screenshot(clip=place)).digest())
                if len(seen) >= 4:
                    break
                page.wait_for_timeout(100)
            assert len(seen) >= 4, "nothing plays below the node"
        browser.screenshot(page, f"blueprint-{'vue' if vue else 'classic'}")
    finally:
        page.close()
        browser.save_settings(served.client.address, {"Comfy.VueNodes.Enabled": False})
        served.client.interrupt()
