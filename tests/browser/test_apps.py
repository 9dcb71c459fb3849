"""The pack's apps in a browser: opened from the templates, a prompt typed, run, and a clip that plays."""

import pytest

from tools.authoring import apps
from tools.hosting import browser

PROMPT = "a blue ring grows over a green field"
LARGEST = """() => {
    const shown = [...document.querySelectorAll('img, video')].filter(seen => seen.src.startsWith('blob:'))
    return shown.map(seen => [seen.src, seen.clientWidth]).sort((a, b) => b[1] - a[1])[0] ?? null
}"""
SHOWN = "() => [...document.querySelectorAll('video')].some(seen => seen.clientWidth >= 200 && seen.readyState >= 2)"


@pytest.fixture
def page(bare, chromium):
    browser.save_settings(bare.client.address, browser.SETTINGS)
    opened = browser.open_interface(chromium, bare.client.address)
    yield opened
    opened.close()


@pytest.mark.one_host
def test_small_model_as_an_app_from_template_to_playing_video(page):
    page.get_by_role("button", name="Templates").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("comfyui-seine").first.click()
    card = page.get_by_test_id(f"template-workflow-{apps.title('try_the_small_model')}")
    card.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    browser.screenshot(page, "app-templates")
    card.click()
    run = page.get_by_test_id("linear-run-button").get_by_role("button", name="Run", exact=True)
    page.get_by_role("button", name="Skip").click()  # the interface's tour of its apps, offered once
    run.wait_for()
    page.wait_for_timeout(1000)
    browser.screenshot(page, "app-opened")
    box = page.locator("textarea:visible")
    assert box.count() == 1, "the prompt alone"
    box.fill(PROMPT)
    run.click()
    seen = set()
    for _ in range(400):
        found = page.evaluate(LARGEST)
        if found and found[1] >= 200:
            seen.add(found[0])
        if len(seen) >= 3:
            break
        page.wait_for_timeout(60)
    browser.screenshot(page, "app-running")
    assert len(seen) >= 3, "the preview does not play"
    page.wait_for_function(SHOWN, timeout=60_000)
    browser.screenshot(page, "app-result")
    (prompt,) = page.evaluate("() => app.graph._nodes.filter(n => n.title == 'Prompt').map(n => n.widgets[0].value)")
    assert prompt == PROMPT
