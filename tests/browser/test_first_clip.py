"""From an empty profile to a clip that plays: a newcomer's clicks, in both kinds of nodes, in English and Chinese."""

import hashlib

import pytest

from tools.hosting import browser
from tools.hosting.workflow_graph import TITLES

MOST_CLICKS = 4
NEWCOMER = {"Comfy.TutorialCompleted": False}
WATCH = """() => {
    const sampler = app.graph._nodes.find(node => node.type == 'SEINEKSampler')
    sampler.widgets.find(widget => widget.name == 'steps').value = 150  // time for pictures of the page
    window.played = new Set()
    app.api.addEventListener('b_preview_with_metadata', ({detail}) => detail.isSeineFrame && played.add(detail.blob))
}"""
SAMPLER = """() => {
    const node = app.graph._nodes.find(node => node.type == 'SEINEKSampler')
    const [x, y] = app.canvas.ds.convertOffsetToCanvas(node.pos)
    const {left, top} = app.canvas.canvas.getBoundingClientRect()
    const scale = app.canvas.ds.scale
    return {x: x + left, y: y + top, width: node.size[0] * scale, height: node.size[1] * scale}
}"""
SHOWN = "() => [...document.querySelectorAll('video')].some(seen => seen.clientWidth > 0 && seen.readyState >= 2)"


class Clicks:
    def __init__(self):
        self.count = 0

    def on(self, locator):
        locator.click()
        self.count += 1


@pytest.mark.one_host
@pytest.mark.parametrize(("vue", "locale"), [(False, "en"), (True, "zh")], ids=["classic-en", "vue-zh"])
def test_a_newcomer_sees_a_clip_play_after_few_clicks(bare, chromium, vue, locale):
    """Once in each language and once in each kind of nodes."""
    browser.save_settings(bare.client.address, {**NEWCOMER, "Comfy.VueNodes.Enabled": vue, "Comfy.Locale": locale})
    bare.client.free()  # what an earlier run made is not made again
    page = browser.open_interface(chromium, bare.client.address, newcomer=True)
    try:
        clicks = Clicks()
        dialog = page.get_by_role("dialog")
        clicks.on(dialog.get_by_text("comfyui-seine").first)
        clicks.on(page.get_by_test_id(f"template-workflow-{TITLES['try_the_small_model']}"))
        page.wait_for_function("() => app.graph._nodes.some(node => node.type == 'SEINEKSampler')")
        page.evaluate(WATCH)
        clicks.on(page.get_by_test_id("queue-button"))
        page.wait_for_function("() => played.size >= 2")
        seen = set()
        for _ in range(40):
            seen.add(hashlib.sha256(page.screenshot(clip=page.evaluate(SAMPLER))).digest())
            if len(seen) >= 5:
                break
        browser.screenshot(page, f"first-clip-{'vue' if vue else 'classic'}-{locale}")
        assert len(seen) >= 5, "nothing moves on the page"
        page.wait_for_function("() => played.size >= 16")
        assert clicks.count <= MOST_CLICKS
        page.wait_for_function(SHOWN, timeout=120_000)
        browser.screenshot(page, f"first-video-{'vue' if vue else 'classic'}-{locale}")
    finally:
        page.close()
        bare.client.interrupt()
