"""The interface in Chinese, from the start and from a change of the language without a new page."""

import re

import pytest

from tests.browser.nodes_on_the_page import drop, saved_types
from tools.authoring import build_locales
from tools.hosting import browser

SET = """values => {
    for (const node of app.graph._nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name in values) { widget.value = values[widget.name]; widget.callback?.(widget.value) }
}"""
CHINESE = """() => {
    const note = app.graph._nodes.find(node => node.type == 'MarkdownNote')
    const node = app.graph._nodes.find(node => node.type == 'SEINEImageToVideo')
    const choice = node.widgets.find(widget => widget.name == 'resize_mode')
    const titles = app.graph._nodes.filter(n => n.type == 'CLIPTextEncode').map(n => n.title)
    const texts = [note.widgets[0].value, ...app.graph._groups.map(group => group.title), ...titles]
    return {texts, label: choice._displayValue, value: choice.value}
}"""
ERROR = """message => {
    let shown
    app.api.addEventListener('execution_error', ({detail}) => (shown = detail.exception_message), {once: true})
    const about = {prompt_id: '0', node_id: '1', node_type: 'SEINEKSampler', traceback: [], exception_type: 'Error'}
    app.api.dispatchCustomEvent('execution_error', {...about, exception_message: message})
    return shown
}"""
"""What the host's own listeners are told of an error."""
ERRORS = (
    "keyframe_places: mask says which frames are given: empty keyframe_places, or unplug mask",
    "keyframe_places：哪些帧给定已由 mask 决定：请清空 keyframe_places，或断开 mask",
)
MARK = "() => { for (const node of app.graph._nodes) node.before = true }"
LOADED = "many => app.graph._nodes.length == many && !app.graph._nodes.some(node => node.before)"
SAYS = "() => document.querySelector('canvas.seine-timeline').ariaLabel"


def test_interface_in_chinese(served, chromium):
    browser.save_settings(served.client.address, {"Comfy.Locale": "zh"})
    page = browser.open_interface(chromium, served.client.address)
    try:
        page.wait_for_timeout(2000)
        page.evaluate("() => app.graph.clear()")
        drop(page, "image_to_video")
        titles = page.evaluate("() => app.graph._nodes.filter(n => n.type.startsWith('SEINE')).map(n => n.title)")
        chinese = {name: node["display_name"] for name, node in build_locales.load("zh").items()}
        expected = [chinese[name] for name in saved_types("image_to_video") if name.startswith("SEINE")]
        assert titles == expected
        assert all(re.search("[\u4e00-\u9fff]", title) for title in titles)
        shown = page.evaluate(CHINESE)
        assert [text for text in shown["texts"] if not re.search("[\u4e00-\u9fff]", text)] == []
        label = build_locales.load("zh")["SEINEImageToVideo"]["inputs"]["resize_mode"]["options"][shown["value"]]
        assert (shown["label"], shown["value"]) == (label, "fit clip to image"), "what is sent stays as it is"
        page.wait_for_timeout(1000)
        browser.screenshot(page, "chinese")
        page.evaluate(SET, {"keyframe_places": "99"})
        page.get_by_test_id("queue-button").click()
        page.get_by_test_id("error-overlay-see-errors").click()
        page.wait_for_timeout(1500)
        browser.screenshot(page, "chinese-error")
        page.get_by_text("请每张写一个，或留空以均匀分布").first.wait_for()
    finally:
        page.close()
        browser.save_settings(served.client.address, {"Comfy.Locale": "en"})


@pytest.mark.one_host
def test_the_language_changes_without_a_new_page(page):
    label = build_locales.load("zh")["SEINEImageToVideo"]["inputs"]["resize_mode"]["options"]["fit clip to image"]
    drop(page, "image_to_video")
    english = look(page)
    assert english["label"] == "fit clip to image" and english["error"] == ERRORS[0]
    try:
        change_language(page, "zh")
        chinese = look(page)
        assert [text for text in chinese["texts"] if not re.search("[\u4e00-\u9fff]", text)] == []
        assert chinese == english | {
            "texts": chinese["texts"],
            "label": label,
            "error": ERRORS[1],
            "timeline": "保留 1 帧，生成 15 帧",
        }
        change_language(page, "zh-TW")  # the pack's Chinese is simplified
        assert look(page) == english
    finally:
        change_language(page, "en")
    assert look(page) == english


def look(page):
    return page.evaluate(CHINESE) | {"error": page.evaluate(ERROR, ERRORS[0]), "timeline": page.evaluate(SAYS)}


def change_language(page, language):
    """Until the host has loaded its workflow anew."""
    page.evaluate(MARK)
    page.evaluate("language => app.extensionManager.setting.set('Comfy.Locale', language)", language)
    page.wait_for_function(LOADED, arg=len(saved_types("image_to_video")))
