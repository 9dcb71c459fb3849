"""The modern host's interface in a browser, used as a person would: templates, search, wires, runs, help."""

import itertools
import re

import pytest

from tests.browser.nodes_on_the_page import HAS, drop, saved_types
from tests.published import comparable
from tools.authoring import build_workflows
from tools.hosting import browser
from tools.hosting.model_files import SEINE
from tools.hosting.workflow_graph import FOLDER, TITLES

TEMPLATES = sorted(build_workflows.workflows())
SOUGHT = (
    *("flf2v", "t2v", "i2v", "inbetween", "morph", "transition", "loop", "extend video", "extend mp4"),
    *("first last frame", "first frame", "interpolate", "image to video", "text to video"),
    *("过渡", "循环", "转场", "首尾帧", "关键帧", "文生视频", "图生视频", "续写视频"),
)
"""What people look for: one of ours is among the first three."""
PLACE = """type => {
    const node = app.graph._nodes.find(node => node.type == type)
    app.canvas.centerOnNode(node)
    return app.canvas.ds.convertOffsetToCanvas([node.pos[0] + node.size[0] / 2, node.pos[1] - 12])
}"""

RUN_THRICE = """async () => {
    const asked = [], queue = app.api.queuePrompt
    app.api.queuePrompt = async (number, {output}) => {
        asked.push(Object.values(output).find(node => node.class_type == 'SEINELoadBatch').inputs.index)
        return {prompt_id: String(asked.length), node_errors: {}}
    }
    try { await app.queuePrompt(0, 3) } finally { app.api.queuePrompt = queue }
    return asked
}"""
"""The index of each of three runs, which are not sent."""


def types(page):
    return page.evaluate("() => app.graph._nodes.map(node => node.type)")


def search_opened(page):
    """The search for nodes, after double clicks until it is there: the canvas hears none while it is drawn anew."""
    search = page.get_by_placeholder("Add a node")
    for tenths in itertools.count():
        if search.is_visible():
            return search
        if tenths % 15 == 0:
            page.mouse.dblclick(800, 500)
        page.wait_for_timeout(100)


@pytest.mark.one_host
@pytest.mark.parametrize("name", TEMPLATES)
def test_template_opens_from_the_dialog(page, name):
    open_from_the_dialog(page, name)


def test_the_dialog_is_the_same_in_every_host(page):
    open_from_the_dialog(page, "story")


def open_from_the_dialog(page, name):
    page.get_by_role("button", name="Templates").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("comfyui-seine").first.click()
    card = page.get_by_test_id(f"template-workflow-{TITLES[name]}")
    card.scroll_into_view_if_needed()  # pictures below the fold are loaded when they are seen
    picture = card.locator("img").first
    picture.wait_for()
    assert picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") >= 200
    card.click()
    page.wait_for_function(HAS, arg=saved_types(name))
    page.wait_for_timeout(1000)
    assert sorted(types(page)) == sorted(saved_types(name))
    assert page.evaluate("() => app.graph._nodes.filter(node => node.has_errors).map(node => node.type)") == []
    assert page.get_by_role("dialog").count() == 0, "nothing is missing"
    browser.screenshot(page, f"template-{name}")


@pytest.mark.one_host  # older interfaces put 10 before 2
def test_templates_are_sorted_by_their_numbers_and_found_by_the_packs_name(page):
    page.evaluate("() => app.extensionManager.setting.set('Comfy.Templates.SortBy', 'alphabetical')")
    page.get_by_role("button", name="Templates").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("comfyui-seine").first.click()
    cards = dialog.get_by_test_id(re.compile(r"^template-workflow-SEINE (?!.*\.app$)"))  # apps have a test of theirs
    cards.nth(len(TITLES) - 1).wait_for()
    names = "cards => cards.map(card => card.dataset.testid.replace('template-workflow-', ''))"
    assert cards.evaluate_all(names) == list(TITLES.values())
    dialog.get_by_role("textbox").first.fill("seine stop")
    page.wait_for_function("() => document.querySelectorAll('[data-testid^=\"template-workflow-\"]').length == 1")
    assert cards.evaluate_all(names) == [TITLES["stop_and_go_on"]]
    dialog.get_by_role("textbox").first.fill("seine")
    cards.nth(len(TITLES) - 1).wait_for()
    assert set(cards.evaluate_all(names)) == {*TITLES.values()}


@pytest.mark.one_host
def test_each_run_of_a_batch_takes_the_next_job(page):
    drop(page, "batch_transitions")
    assert page.evaluate(RUN_THRICE) == [0, 1, 2]


def test_workflow_file_dropped_on_the_canvas(page, host):
    drop(page, "transition")
    assert sorted(types(page)) == sorted(saved_types("transition"))
    prompt = comparable(page.evaluate("async () => JSON.stringify((await app.graphToPrompt()).output)"), host)
    api = comparable((FOLDER / "transition.json").read_text(encoding="utf-8"), host)
    assert {key: node["inputs"] for key, node in prompt.items()} == {key: node["inputs"] for key, node in api.items()}


def test_missing_files_are_named_with_a_way_to_get_them(page):
    drop(page, "text_to_video", {SEINE.name: "absent.pt"})
    page.get_by_role("button", name="View details").click()
    page.get_by_text("absent.pt").first.wait_for()
    page.wait_for_timeout(1000)
    browser.screenshot(page, "missing-files")
    offered = page.locator("button").get_by_text("Download", exact=True)
    assert offered.count() == 1, "that file, and not the one that is there"


@pytest.mark.parametrize(
    ("alias", "node"),
    [("storyboard", "SEINEStory"), ("respacing", "SEINEScheduler"), ("frame mask", "SEINEMaskBuilder")],
)
def test_node_is_found_by_alias_and_added_by_double_click(page, alias, node):
    search_opened(page).fill(alias)
    page.wait_for_timeout(1000)
    browser.screenshot(page, f"search-{alias}")
    page.keyboard.press("Enter")
    page.wait_for_function(HAS, arg=[node])
    assert types(page) == [node]


@pytest.mark.parametrize("word", SOUGHT)
def test_what_people_look_for_is_among_the_first(page, word):
    search_opened(page).fill(word)
    page.wait_for_timeout(700)
    first = page.get_by_role("dialog").get_by_role("option").all_inner_texts()[:3]
    assert any("SEINE" in text for text in first), first


def test_nodes_are_wired_by_dragging(page):
    page.evaluate(
        """() => {
            for (const [index, type] of ['SEINECheckpointLoader', 'SEINEScheduler'].entries()) {
                const node = LiteGraph.createNode(type)
                node.pos = [500 * index, 0]
                app.graph.add(node)
            }
            app.canvas.ds.scale = 1
            app.canvas.ds.offset[0] = 300
            app.canvas.ds.offset[1] = 300
            app.canvas.setDirty(true, true)
        }"""
    )
    page.wait_for_timeout(800)
    start, end = page.evaluate(
        """() => {
            const [loader, scheduler] = app.graph._nodes
            const ends = [loader.getOutputPos(0), scheduler.getInputPos(0)]
            return ends.map(end => app.canvas.ds.convertOffsetToCanvas([...end]))
        }"""
    )
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=12)
    page.wait_for_timeout(500)
    browser.screenshot(page, "wiring")
    page.mouse.up()
    page.wait_for_function("() => app.graph._nodes.find(node => node.type == 'SEINEScheduler').inputs[0].link != null")


def test_run_shows_progress_preview_and_result(page):
    drop(page, "image_to_video")
    page.evaluate(
        """() => {
            window.seen = {previews: 0, steps: 0}
            app.api.addEventListener('b_preview_with_metadata', () => window.seen.previews++)
            app.api.addEventListener('progress', ({detail}) => seen.steps = Math.max(seen.steps, detail.value))
            const wanted = {width: 64, height: 64, steps: 60}
            for (const node of app.graph._nodes)
                for (const widget of node.widgets ?? [])
                    if (widget.name in wanted) { widget.value = wanted[widget.name]; widget.callback?.(widget.value) }
            app.canvas.centerOnNode(app.graph._nodes.find(node => node.type == 'SEINEKSampler'))
        }"""
    )
    page.get_by_test_id("queue-button").click()
    page.wait_for_function("() => window.seen.previews >= 5")
    browser.screenshot(page, "running")
    page.wait_for_function(
        "() => Object.values(app.nodeOutputs).some(o => o.images?.some(i => i.filename.endsWith('.mp4')))",
        timeout=120_000,
    )
    page.evaluate("() => app.canvas.centerOnNode(app.graph._nodes.find(node => node.type == 'SaveVideo'))")
    page.wait_for_timeout(1500)
    browser.screenshot(page, "result")
    assert page.evaluate("() => window.seen.steps") > 45  # the server may leave out quick ones
    assert page.locator("video").count() >= 1


def test_help_page_opens(page):
    drop(page, "image_to_video")
    place = page.evaluate(PLACE, "SEINEKSampler")
    page.wait_for_timeout(800)
    page.mouse.click(*place)
    page.get_by_test_id("info-button").click()
    page.get_by_text("SEINE's own sampler").first.wait_for()
    picture = page.locator("img[src*='/SEINEKSampler/clip.gif']").first
    assert picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 100
    browser.screenshot(page, "help")
