"""Names of files: what the interface puts in for ComfyUI's savers it puts in for ours."""

import re

import pytest

from tools.hosting import browser

TYPED = "clips/%date:yyyy-MM-dd%_%Width.value%_100%"
SENT = """async ([types, typed]) => {
    app.graph.clear()
    const width = LiteGraph.createNode('PrimitiveInt')
    width.title = 'Width'
    app.graph.add(width)
    width.widgets.find(widget => widget.name == 'value').value = 320
    const image = LiteGraph.createNode('EmptyImage')
    app.graph.add(image)
    for (const type of types) {
        const node = LiteGraph.createNode(type)
        app.graph.add(node)
        image.connect(0, node, node.inputs.findIndex(input => input.name == 'images'))
        node.widgets.find(widget => widget.name == 'filename_prefix').value = typed
    }
    const { output, workflow } = await app.graphToPrompt()
    const prefixes = type => Object.values(output).find(node => node.class_type == type).inputs.filename_prefix
    const saved = type => workflow.nodes.find(node => node.type == type).widgets_values
    return types.map(type => [prefixes(type), [...saved(type)].find(value => value === typed)])
}"""
"""What a run is given as each saver's prefix, and what the workflow keeps."""


@pytest.mark.parametrize("vue", [False, True], ids=["classic", "vue"])
def test_dates_and_values_are_put_into_a_gif_s_name(served, chromium, vue):
    browser.save_settings(served.client.address, {"Comfy.VueNodes.Enabled": vue})
    page = browser.open_interface(chromium, served.client.address)
    try:
        (theirs, kept), (ours, still) = page.evaluate(SENT, [["SaveAnimatedWEBP", "SEINESaveGIF"], TYPED])
        assert ours == theirs
        assert re.fullmatch(r"clips/\d{4}-\d\d-\d\d_320_100%", ours)
        assert still == kept == TYPED
    finally:
        page.close()
        browser.save_settings(served.client.address, {"Comfy.VueNodes.Enabled": False})
