"""A clip that follows each change by ComfyUI's own *Run (On Change)*, with no click on Run."""

import io
import urllib.request

import numpy
import pytest
from PIL import Image, ImageSequence

from tools.hosting import browser, live_clip

RED, BLUE, YELLOW = "red", "blue", "yellow"
COLOURS = {RED: (1, 0, 0), BLUE: (0, 0, 1), YELLOW: (1, 1, 0)}
COUNT = """() => {
    window.queued = 0
    app.api.addEventListener('promptQueued', () => queued++)
}"""
SEED = "() => app.graph._nodes.find(node => node.type == 'SEINEKSampler').widgets.find(w => w.name == 'seed').value"
PLACES = """() => {
    const node = app.graph._nodes.find(node => node.type == 'LoadImage')
    const {left, top} = app.canvas.canvas.getBoundingClientRect()
    const place = (x, y) => {
        const at = app.canvas.ds.convertOffsetToCanvas([node.pos[0] + x, node.pos[1] + y])
        return [at[0] + left, at[1] + top]
    }
    const {last_y} = node.widgets.find(widget => widget.name == 'image')
    return {title: place(150, -15), next: place(node.size[0] - 24, last_y + 10)}
}"""
"""The title of the picture's node, and the arrow to the next picture."""


@pytest.fixture
def page(bare, chromium):
    browser.save_settings(bare.client.address, browser.SETTINGS)
    opened = browser.open_interface(chromium, bare.client.address)
    yield opened
    opened.close()


def frames(server, name):
    """The saved clip as [frames, height, width, 3], 0..255."""
    url = f"http://{server.client.address}/view?filename={name}&subfolder=video&type=output"
    with urllib.request.urlopen(url, timeout=30) as answer:
        clip = Image.open(io.BytesIO(answer.read()))
        return numpy.stack([numpy.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(clip)])


def share(pixels, colour):
    """Part of the pixels that have this colour, strongly."""
    wanted = numpy.array(COLOURS[colour], bool)
    return float(((pixels > 140) == wanted).all(-1).mean())


@pytest.mark.one_host
def test_another_word_and_another_picture_are_another_clip_without_a_click_on_run(bare, page):
    live_clip.open_workflow(page)
    live_clip.run_on_change(page)
    page.evaluate(COUNT)
    seed = page.evaluate(SEED)
    clips = []
    for colour in (RED, BLUE):
        live_clip.write(page, f"a {colour} ball moves left over a green field")
        clips.append(frames(bare, live_clip.shown(page)["name"]))
    browser.screenshot(page, "live-clip")
    assert len(clips[0]) == len(clips[1]) == 16
    assert [[share(clip, colour) > 0.05 for colour in (RED, BLUE)] for clip in clips] == [[True, False], [False, True]]

    places = page.evaluate(PLACES)
    for change in (lambda: page.keyboard.press("Control+b"), lambda: page.mouse.click(*places["next"])):
        page.mouse.click(*places["title"])
        live_clip.watch(page)
        change()
        clips.append(frames(bare, live_clip.shown(page)["name"]))
    browser.screenshot(page, "live-clip-picture")
    assert [share(clip[0], colour) > 0.05 for clip, colour in zip(clips[2:], (RED, YELLOW), strict=True)] == [True] * 2

    page.wait_for_timeout(1500)
    assert (page.evaluate("() => queued"), page.evaluate(SEED)) == (4, seed), "one run for each change, and no more"
