"""The workflow whose clip follows each change, in a browser: *Run (On Change)*, another prompt, the clip that plays."""

from __future__ import annotations

import json
from typing import Any

from tools.hosting.workflow_graph import interface_file

WORKFLOW = "interactive"
SAVER = "SaveAnimatedWEBP"
FREE = (1000, 850)
"""A place of the page, 1600x900, with nothing of the workflow on it."""
_SHOW = """async workflow => {
    await app.loadGraphData(workflow)
    const {ds} = app.canvas
    ds.scale = 0.8
    ds.offset[0] = ds.offset[1] = 100
    app.canvas.setDirty(true, true)
}"""
_LOOK = """saver => {
    const node = app.graph._nodes.find(node => node.type == saver)
    const name = app.nodeOutputs[node?.id]?.images?.[0]?.filename
    const shown = [...document.querySelectorAll('img')].find(img => img.src.includes(name) && img.clientWidth > 100)
    return name && shown?.complete && shown.naturalWidth ? name : null
}"""
"""Name of the file that is seen in the node, not in a notice of the interface's; null while there is none."""
_WATCH = f"""saver => {{
    const look = {_LOOK}, before = look(saver)
    window.clip = {{}}
    document.addEventListener('input', () => clip.typed = performance.now(), {{capture: true, once: true}})
    app.api.addEventListener('execution_start', () => clip.started = performance.now(), {{once: true}})
    const every = () => {{
        const name = look(saver)
        if (!name || name == before) return requestAnimationFrame(every)
        Object.assign(clip, {{name, shown: performance.now()}})
    }}
    every()
}}"""
_PROMPT = "() => app.graph._nodes.find(node => node.type == 'CLIPTextEncode').widgets[0].value"
_READY = f"() => document.querySelector('textarea')?.value == ({_PROMPT})()"
"""The boxes of the workflow that was there before are gone; notes have theirs behind the prompt's."""
_STATE = """() => {
    const picture = app.graph._nodes.find(node => node.type == 'LoadImage')
    const selected = Object.values(app.canvas.selected_nodes ?? {}).map(node => node.type)
    return {...clip, focus: document.activeElement?.tagName, selected, mode: picture.mode,
            picture: picture.widgets[0].value, error: app.lastExecutionError}
}"""
_SET = """values => {
    const {widgets} = app.graph._nodes.find(node => node.type == 'SEINEKSampler')
    for (const [name, value] of Object.entries(values)) widgets.find(widget => widget.name == name).value = value
}"""


def open_workflow(page: Any) -> None:
    """Open it with its left part, prompt, picture and clip, in view."""
    page.evaluate(_SHOW, json.loads(interface_file(WORKFLOW).read_text(encoding="utf-8")))
    page.wait_for_function(_READY)


def run_on_change(page: Any, on: bool = True) -> None:
    """Choose *Run (On Change)*, or *Run* again, as a person does."""
    page.get_by_test_id("queue-mode-menu-trigger").click()
    chosen = page.get_by_role("menuitem", name="Run (On Change)" if on else "Run", exact=True)
    chosen.click()
    page.mouse.click(*FREE)  # while the menu is open, it takes what is typed
    chosen.wait_for(state="hidden")


def prompt_box(page: Any) -> Any:
    return page.locator("textarea").first


def set_sampler(page: Any, values: dict[str, Any]) -> None:
    """Give widgets of the sampler these values; the interface hears of it with the next change."""
    page.evaluate(_SET, values)


def watch(page: Any) -> None:
    """From now on: the next `shown` is the clip that comes after this."""
    page.evaluate(_WATCH, SAVER)


def write(page: Any, text: str) -> None:
    """Write another prompt, and click beside the box."""
    watch(page)
    prompt_box(page).fill(text)
    page.mouse.click(*FREE)


def shown(page: Any, timeout_ms: float = 180_000) -> dict[str, Any]:
    """The clip that came after `watch` or `write`: its file's `name`, and milliseconds of the page's clock when it was
    `typed`, `started` and `shown`. Raises TimeoutError, which says what is seen instead.
    """
    from playwright.sync_api import TimeoutError as TimedOut

    try:
        page.wait_for_function("() => clip.shown", timeout=timeout_ms)
    except TimedOut as problem:
        seen = page.evaluate(_STATE)
        raise TimeoutError(f"no other clip was shown within {timeout_ms / 1000:g} s: {seen}") from problem
    return page.evaluate("() => clip")
