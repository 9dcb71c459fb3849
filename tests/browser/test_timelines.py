"""The timelines on SEINE Mask Builder and SEINE Image to Video, by mouse and keys, as both kinds of nodes draw them."""

import pytest

from tests.browser.nodes_on_the_page import (
    BUILDER,
    CLIP,
    COLOURS,
    ID,
    MODE,
    PICTURES,
    RELOAD,
    SAVED,
    SHOWN,
    VALUES,
    WIRE,
    add,
    soon,
)
from tools.hosting import browser

PLACE = """type => {
    const node = app.graph._nodes.find(node => node.type == type)
    const canvas = node.widgets.find(widget => widget.name == 'timeline').element.querySelector('canvas')
    const {left, top, width, height} = canvas.getBoundingClientRect()
    return [left, top, width, height, height / canvas.clientHeight]
}"""
HEARD = """type => {
    const node = app.graph._nodes.find(node => node.type == type)
    const canvas = node.widgets.find(widget => widget.name == 'timeline').element.querySelector('canvas')
    const names = ['role', 'aria-label', 'aria-valuemin', 'aria-valuemax', 'aria-valuenow', 'aria-valuetext']
    return names.map(name => canvas.getAttribute(name))
}"""
"""What a screen reader is told of a timeline."""
MODIFIED = "() => app.extensionManager.workflow.activeWorkflow.isModified"
SETTLED = """async () => {
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame)
    app.extensionManager.workflow.activeWorkflow.changeTracker.captureCanvasState()
}"""
"""Another mode shows other widgets, and a slow page gives the node its new height later: a change of its own."""
LINES = 32
"""Height of numbers and text below the cells, in the node's own pixels."""


def look_at(page, kind, scale=1.0):
    page.evaluate(
        """([type, scale]) => {
            app.canvas.ds.scale = scale
            app.canvas.centerOnNode(app.graph._nodes.find(node => node.type == type))
            app.canvas.setDirty(true, true)
        }""",
        [kind, scale],
    )
    page.wait_for_timeout(800)


def cell(page, kind, frame, frames=16):
    left, top, width, height, scale = page.evaluate(PLACE, kind)
    return left + width * (frame + 0.5) / frames, top + height - (LINES + 11) * scale


def drag(page, kind, *path):
    start, *rest = [cell(page, kind, frame) for frame in path]
    page.mouse.move(*start)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def mask_is(page, mode, indices):
    soon(page, lambda: [page.evaluate(VALUES, BUILDER)[name] for name in ("mode", "indices")], [mode, indices])


def test_cells_are_clicked_and_painted_and_undone(nodes):
    page = nodes
    add(page, BUILDER)
    look_at(page, BUILDER, 1.5)
    page.mouse.click(5, 450)  # what was added is a change of its own
    drag(page, BUILDER, 7)
    mask_is(page, "custom keyframes", "0, 7")
    drag(page, BUILDER, 10, 13, 12)
    mask_is(page, "custom keyframes", "0, 7, 10-12")
    drag(page, BUILDER, 0)
    drag(page, BUILDER, 12, 5)
    mask_is(page, "text to video", "7, 10-12")  # freed are 5 to 12, and nothing else was kept
    browser.screenshot(page, "timeline")
    assert page.evaluate(MODIFIED)
    page.keyboard.press("Control+z")
    mask_is(page, "custom keyframes", "7, 10-12")
    page.keyboard.press("Control+z")
    mask_is(page, "custom keyframes", "0, 7, 10-12")
    page.keyboard.press("Control+z")
    mask_is(page, "custom keyframes", "0, 7")
    page.keyboard.press("Control+y")
    mask_is(page, "custom keyframes", "0, 7, 10-12")


@pytest.mark.one_host
def test_cells_are_reached_by_keys(nodes):
    page = nodes
    add(page, BUILDER)
    look_at(page, BUILDER)
    drag(page, BUILDER, 4)
    mask_is(page, "custom keyframes", "0, 4")
    page.evaluate(SETTLED)
    for key in ("ArrowRight", "ArrowRight", "Enter", "End"):
        page.keyboard.press(key)
    page.keyboard.down("Shift")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.up("Shift")
    mask_is(page, "custom keyframes", "0, 4, 6, 13-15")
    slider = ["slider", "6 kept, 10 generated", "0", "15"]
    soon(page, lambda: page.evaluate(HEARD, BUILDER), [*slider, "13", "13: kept (click or drag to change)"])
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    soon(page, lambda: page.evaluate(HEARD, BUILDER), [*slider, "1", "1: generated (click or drag to change)"])
    page.keyboard.press("Control+z")
    mask_is(page, "custom keyframes", "0, 4, 6")


def test_only_widgets_with_an_effect_are_shown_and_all_are_saved(nodes):
    page = nodes
    add(page, BUILDER, values={"count": 3, "indices": "2, 5"})
    look_at(page, BUILDER)
    drawn = page.locator("[data-testid=node-widget]")
    in_vue = drawn.count() > 0
    heights = {}
    for mode, shown in {
        "first frames": {"count"},
        "custom keyframes": {"indices"},
        "text to video": set(),
        "first and last frames": {"count"},
    }.items():
        page.evaluate(
            """mode => {
                const node = app.graph._nodes[0]
                const widget = node.widgets.find(widget => widget.name == 'mode')
                widget.value = mode
                widget.callback(mode, app.canvas, node)
            }""",
            mode,
        )
        assert {"count", "indices"} & set(page.evaluate(SHOWN, BUILDER)) == shown
        if in_vue:
            soon(page, drawn.count, 3 + len(shown))  # mode, frames and timeline; the size is an advanced input
        heights[mode] = page.evaluate("() => app.graph._nodes[0].size[1]")
    if not in_vue:
        assert heights["first frames"] == heights["custom keyframes"] == heights["text to video"] + 24
    assert page.evaluate(SAVED, BUILDER) == ["first and last frames", 3, "2, 5", 16, 560, 240]
    page.evaluate(RELOAD)
    assert page.evaluate(SAVED, BUILDER) == ["first and last frames", 3, "2, 5", 16, 560, 240]
    assert "indices" not in page.evaluate(SHOWN, BUILDER)


@pytest.mark.one_host
def test_a_widget_is_hidden_at_once_whatever_else_the_node_does(nodes):
    page = nodes
    add(page, BUILDER)
    look_at(page, BUILDER)
    drawn = page.locator("[data-testid=node-widget]")
    before = drawn.count()
    page.evaluate(
        """async () => {
            const {showWidgets} = await import('/extensions/comfyui-seine/js/node_widgets.js')
            showWidgets(app.graph._nodes[0], {frames: false})
        }"""
    )
    assert "frames" not in page.evaluate(SHOWN, BUILDER)
    soon(page, drawn.count, max(before - 1, 0))


def wire_pictures(page):
    """A clip from first to last with two keyframes between."""
    clip = add(page, CLIP)
    wires = ("first_image", "more_keyframes.keyframe0", "more_keyframes.keyframe1", "last_image")
    for number, (picture, wire) in enumerate(zip(PICTURES, wires, strict=True)):
        loader = add(page, "LoadImage", -700 + 350 * (number % 2), 400 * (number // 2), {"image": picture})
        page.evaluate(WIRE, [loader, clip, wire])
        page.wait_for_timeout(100)
    look_at(page, CLIP)


def shows(page, name, shown=True):
    """A clip's widget is seen or not; where Vue draws the nodes, on the page too."""
    soon(page, lambda: name in page.evaluate(SHOWN, CLIP), shown)
    node = page.locator(f"[data-node-id='{page.evaluate(ID, CLIP)}']")
    drawn = node.locator("[data-testid=node-widget]").get_by_text(name, exact=True)
    soon(page, drawn.count, int(shown and node.count() > 0))


def places_are(page, text):
    soon(page, lambda: page.evaluate(VALUES, CLIP)["keyframe_places"], text)


def pictures_are(page, expected):
    """These pictures are the thumbnails above these frames."""
    soon(page, lambda: shown_pictures(page, expected), list(expected.values()))


def shown_pictures(page, frames):
    inside = [[min(max((frame + 0.5) / 16, 0.05), 0.95), 20] for frame in frames]
    colours = page.evaluate(COLOURS, [CLIP, inside])
    return [
        next((name for name, wanted in PICTURES.items() if max(map(abs, map(int.__sub__, colour, wanted))) < 12), None)
        for colour in colours
    ]


def test_wired_pictures_are_seen_and_dragged_to_their_frames(nodes):
    page = nodes
    add(page, CLIP)
    look_at(page, CLIP)
    shows(page, "keyframe_places", False)
    page.evaluate("() => app.graph.remove(app.graph._nodes[0])")
    wire_pictures(page)
    shows(page, "keyframe_places")
    pictures_are(page, dict(zip((0, 5, 10, 15), PICTURES, strict=True)))
    between = page.evaluate(
        "() => app.graph._nodes.filter(node => /second|third/.test(node.widgets[0].value)).map(n => n.id)"
    )
    for mode, shown in ((2, False), (0, True)):  # muted, and back
        for loader in between:
            page.evaluate(MODE, [loader, mode])
        shows(page, "keyframe_places", shown)
    pictures_are(page, dict(zip((0, 5, 10, 15), PICTURES, strict=True)))
    drag(page, CLIP, 5, 7)
    places_are(page, "7, 10")
    drag(page, CLIP, 10, 3)
    places_are(page, "7, 3")
    pictures_are(page, {0: "first.png", 3: "third.png", 7: "second.png", 15: "last.png"})
    drag(page, CLIP, 0, 9)
    drag(page, CLIP, 15, 9)
    places_are(page, "7, 3")  # the ends stay
    browser.screenshot(page, "timeline-pictures")
    page.evaluate(RELOAD)
    pictures_are(page, {0: "first.png", 3: "third.png", 7: "second.png", 15: "last.png"})
    assert page.evaluate(SAVED, CLIP)[-2:] == [16, "7, 3"]


@pytest.mark.one_host
def test_a_wired_mask_places_the_pictures(nodes):
    page = nodes
    wire_pictures(page)
    builder = add(page, BUILDER, 0, 700, {"mode": "custom keyframes", "indices": "0, 2, 8, 12"})
    page.evaluate(WIRE, [builder, page.evaluate(ID, CLIP), "mask"])
    shows(page, "frames", False)
    shows(page, "keyframe_places", False)
    pictures_are(page, dict(zip((0, 2, 8, 12), PICTURES, strict=True)))
    drag(page, CLIP, 2, 5)
    places_are(page, "")
