"""What tests do with nodes on the page: add, wire, look at what they have."""

import json

from tools.hosting.workflow_graph import interface_file

PICTURES = {
    "first.png": (200, 30, 30),
    "second.png": (30, 160, 30),
    "third.png": (30, 30, 200),
    "last.png": (160, 30, 160),
}
DROP = """text => {
    const data = new DataTransfer()
    data.items.add(new File([text], 'workflow.json', {type: 'application/json'}))
    const canvas = document.querySelector('#graph-canvas')
    for (const kind of ['dragenter', 'dragover', 'drop'])
        canvas.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data}))
}"""
HAS = "types => types.every(type => app.graph._nodes.some(node => node.type == type))"
ADD = """async ([type, x, y, values]) => {
    const node = LiteGraph.createNode(type)
    node.pos = [x, y]
    app.graph.add(node)
    for (const [name, value] of Object.entries(values ?? {})) {
        const widget = node.widgets.find(widget => widget.name == name)
        widget.value = value
        widget.callback?.(value, app.canvas, node)
    }
    return node.id
}"""
WIRE = """([from, to, name]) => {
    const target = app.graph.getNodeById(to)
    app.graph.getNodeById(from).connect(0, target, target.inputs.findIndex(input => input.name == name))
}"""
VALUES = """type => {
    const node = app.graph._nodes.find(node => node.type == type)
    return Object.fromEntries(node.widgets.map(widget => [widget.name, widget.value]))
}"""
SAVED = "type => app.graph.serialize().nodes.find(node => node.type == type).widgets_values"
ID = "type => app.graph._nodes.find(node => node.type == type).id"
SHOWN = """type => {
    const node = app.graph._nodes.find(node => node.type == type)
    return node.widgets.filter(widget => node.isWidgetVisible(widget)).map(widget => widget.name)
}"""
COLOURS = """([type, points]) => {
    const node = app.graph._nodes.find(node => node.type == type)
    const canvas = node.widgets.find(widget => widget.name == 'timeline').element.querySelector('canvas')
    const scale = canvas.width / canvas.clientWidth
    const context = canvas.getContext('2d')
    return points.map(([x, y]) => [...context.getImageData(x * canvas.width, y * scale, 1, 1).data].slice(0, 3))
}"""
MODE = """([id, mode]) => {
    app.graph.getNodeById(id).mode = mode
    app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState()
}"""
RELOAD = "async () => await app.loadGraphData(JSON.parse(JSON.stringify(app.graph.serialize())))"
BUILDER, CLIP = "SEINEMaskBuilder", "SEINEImageToVideo"


def add(page, kind, x=0, y=0, values=None):
    return page.evaluate(ADD, [kind, x, y, values])


def soon(page, read, expected):
    """What is read becomes what is expected, however slow the page is."""
    for _ in range(50):
        if read() == expected:
            return
        page.wait_for_timeout(100)
    assert read() == expected


def saved_types(name):
    return [node["type"] for node in json.loads(interface_file(name).read_text(encoding="utf-8"))["nodes"]]


def drop(page, name, changes=None):
    text = interface_file(name).read_text(encoding="utf-8")
    for old, new in (changes or {}).items():
        text = text.replace(old, new)
    page.evaluate(DROP, text)
    page.wait_for_function(HAS, arg=saved_types(name))
