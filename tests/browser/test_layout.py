"""No template opens with boxes that cover one another, in classic nodes and in Vue nodes, which are larger."""

import json

import pytest

from tests.published import comparable
from tools.authoring.pass_workflows import SETTINGS
from tools.hosting import browser
from tools.hosting.workflow_graph import FOLDER, TITLES, interface_file

pytestmark = pytest.mark.one_host
FIT = """async workflow => {
    await app.loadGraphData(workflow)
    const boxes = [...app.graph._nodes, ...app.graph._groups].map(item => [...item.pos, ...item.size])
    const [left, top] = [0, 1].map(i => Math.min(...boxes.map(box => box[i])) - 60 * i)
    const [right, bottom] = [0, 1].map(i => Math.max(...boxes.map(box => box[i] + box[i + 2])))
    const place = document.querySelector('#graph-canvas').getBoundingClientRect()
    const {ds} = app.canvas
    ds.scale = 0.94 * Math.min(place.width / (right - left), place.height / (bottom - top))
    ds.offset[0] = 0.03 * place.width / ds.scale - left
    ds.offset[1] = 0.03 * place.height / ds.scale - top
    app.canvas.setDirty(true, true)
}"""
"""Opens the workflow and brings all of it into view: what is out of it has no element."""
BOXES = """() => {
    const round = values => [...values].map(Math.round)
    const {ds} = app.canvas
    const place = document.querySelector('#graph-canvas').getBoundingClientRect()
    const measured = node => {
        const element = document.querySelector(`[data-node-id="${node.id}"]`)
        if (!element) return null
        const {x, y, width, height} = element.getBoundingClientRect()
        return [(x - place.x) / ds.scale - ds.offset[0], (y - place.y) / ds.scale - ds.offset[1],
                width / ds.scale, height / ds.scale]
    }
    const vue = !!app.ui.settings.getSettingValue('Comfy.VueNodes.Enabled')
    const drawn = node => node.getBounding()
    return {
        nodes: app.graph._nodes.map(node => {
            const box = (vue ? measured : drawn)(node)
            return {title: `${node.title} (${node.type})`, note: node.type == 'MarkdownNote', box: box && round(box)}
        }),
        groups: app.graph._groups.map(group => ({title: group.title, box: round([...group.pos, ...group.size])})),
        texts: [...document.querySelectorAll('.comfy-markdown .tiptap, .comfy-markdown-content')]
            .filter(text => text.offsetParent)
            .map(text => {
                const end = (text.lastElementChild ?? text).getBoundingClientRect().bottom
                const box = (text.closest('[data-node-id]') ?? text).getBoundingClientRect().bottom
                return {words: text.textContent.slice(0, 40), cut: Math.round((end - box) / ds.scale)}
            }),
    }
}"""
"""Every node, note and group as [left, top, width, height] on the canvas, titles included: the elements' own in Vue."""

EXPORT = "async () => JSON.stringify((await app.graphToPrompt()).output)"
CHANGE = """values => {
    for (const node of app.graph._nodes.filter(node => node.type == 'PrimitiveNode')) {
        const name = node.outputs[0].widget.name
        if (name in values) { node.widgets[0].value = values[name]; node.widgets[0].callback?.(values[name]) }
    }
}"""
"""Sets the widgets that feed several nodes, by the name of the input."""


def overlap(a, b):
    return all(a[i] < b[i] + b[i + 2] and b[i] < a[i] + a[i + 2] for i in (0, 1))


def within(box, group):
    return all(group[i] <= box[i] and box[i] + box[i + 2] <= group[i] + group[i + 2] for i in (0, 1))


def faults(found):
    """What is wrong with the layout, in words."""
    named = [(item["title"], item["box"]) for item in found["nodes"]]
    wrong = [f"{title}: is not there" for title, box in named if not box]
    wrong += [
        f"{title} {box} and {other} {box2} overlap"
        for boxes in (named, [(group["title"], group["box"]) for group in found["groups"]])
        for index, (title, box) in enumerate(boxes)
        for other, box2 in boxes[index + 1 :]
        if box and box2 and overlap(box, box2)
    ]
    for node in found["nodes"]:
        touched = [group for group in found["groups"] if node["box"] and overlap(node["box"], group["box"])]
        wrong += [
            f"{node['title']} {node['box']} reaches over the border of {group['title']} {group['box']}"
            for group in touched
            if not within(node["box"], group["box"])
        ]
        if not node["note"] and not touched:
            wrong.append(f"{node['title']} {node['box']}: is in no group")
    return wrong + [f"{text['words']}: {text['cut']} pixels are cut off" for text in found["texts"] if text["cut"] > 0]


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "vue"])
def interface(request, served, chromium):
    """The interface with one of the two kinds of nodes, on a page large enough for a whole workflow."""
    address = served.client.address
    browser.save_settings(address, {"Comfy.VueNodes.Enabled": request.param})
    page = browser.open_interface(chromium, address, height=1400, width=2400)
    yield page
    page.close()
    browser.save_settings(address, {"Comfy.VueNodes.Enabled": False})


@pytest.mark.parametrize("name", TITLES)
def test_no_box_covers_another(interface, request, name):
    interface.evaluate(FIT, json.loads(interface_file(name).read_text(encoding="utf-8")))
    interface.wait_for_timeout(1200)
    found = interface.evaluate(BOXES)
    kind = "vue" if "vue" in request.node.name else "classic"
    browser.screenshot(interface, f"layout-{kind}-{name}")
    assert faults(found) == []


@pytest.mark.parametrize("name", ["extend_video", "second_pass"])
def test_a_setting_of_two_nodes_has_one_widget(interface, host, name):
    interface.evaluate(FIT, json.loads(interface_file(name).read_text(encoding="utf-8")))
    exported = comparable(interface.evaluate(EXPORT), host)
    written = comparable((FOLDER / f"{name}.json").read_text(encoding="utf-8"), host)
    assert {key: node["inputs"] for key, node in exported.items()} == {
        key: node["inputs"] for key, node in written.items()
    }
    interface.evaluate(CHANGE, {"seed": 5, "steps": 7, "cfg": 3.5, "sampler_name": "euler", "scheduler": "normal"})
    changed = json.loads(interface.evaluate(EXPORT))
    samplers = [node["inputs"] for node in changed.values() if "sampler_name" in node["inputs"]]
    settings = [[inputs[key] for key in SETTINGS] for inputs in samplers]
    assert settings == [[5, 7, 3.5, "euler", "normal"]] * 2
