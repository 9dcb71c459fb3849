"""What other packs do with SEINE, in the interface: graphs drawn, run and photographed (into artifacts/)."""

import pytest

from tests.graphs import node, sampled
from tests.packs.packs import needs_packs
from tests.packs.test_animatediff import SCHEDULE, scheduled
from tests.packs.test_controlnet import by_frame, controlled
from tests.packs.test_ipadapter import COLOURS, adapted, adapter  # noqa: F401 - a fixture
from tests.packs.test_video_helper import combined, decoded
from tools.authoring.graph_formats import WIDGET_TYPES, Step, Workflow, interface_format
from tools.hosting import browser

pytestmark = [pytest.mark.one_host, needs_packs]
BROKEN_SCRIPT = "comboBoolMigration.js"
"""Of that Impact Pack: in this interface no workflow with a switch in it opens, whosever node it is."""
DRAW = """async graph => {
    await app.loadGraphData(graph)
    await new Promise(resolve => setTimeout(resolve, 1000))
    const boxes = app.graph._nodes.map(node => [node.pos[0], node.pos[1] - 40, ...node.size])
    const left = Math.min(...boxes.map(box => box[0])), top = Math.min(...boxes.map(box => box[1]))
    const right = Math.max(...boxes.map(box => box[0] + box[2]))
    const bottom = Math.max(...boxes.map(box => box[1] + box[3]))
    const place = document.querySelector('#graph-canvas').getBoundingClientRect()
    const scale = Math.min((place.width - 160) / (right - left), (place.height - 200) / (bottom - top), 1)
    app.canvas.ds.scale = scale
    app.canvas.ds.offset[0] = 100 / scale - left
    app.canvas.ds.offset[1] = 110 / scale - top
    app.canvas.setDirty(true, true)
}"""
RUN = """() => {
    window.seen = {previews: 0, errors: [], done: false}
    app.api.addEventListener('b_preview_with_metadata', () => seen.previews++)
    app.api.addEventListener('execution_error', ({detail}) => seen.errors.push(detail.exception_message))
    app.api.addEventListener('execution_success', () => (seen.done = true))
    app.queuePrompt(0)
}"""


def drawn(graph, object_info):
    """The graph as the interface loads it, in columns: each node to the right of those it reads."""

    def column(name):
        read = [value[0] for value in graph[name]["inputs"].values() if isinstance(value, list)]
        return 1 + max(map(column, read), default=-1)

    heights, steps = {}, {}
    for name, each in graph.items():
        info = object_info[each["class_type"]]["input"]
        known = info.get("required", {}) | info.get("optional", {})
        inputs = {key: _default(spec) for key, spec in known.items() if _type(spec) in WIDGET_TYPES}
        inputs |= {key: tuple(value) if isinstance(value, list) else value for key, value in each["inputs"].items()}
        place = column(name)
        height = 120 + 26 * len(known)
        steps[name] = Step(each["class_type"], (380 * place, heights.get(place, 0)), (320, height), inputs)
        heights[place] = heights.get(place, 0) + height + 60
    return interface_format(Workflow(steps, [], []), object_info)


def _type(spec):
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def _default(spec):
    options = spec[1] if len(spec) > 1 else {}
    first = spec[0] if isinstance(spec[0], list) else options.get("options", [""])
    return options.get("default", (first or [""])[0])


def with_frames(graph):
    """The clip decoded, and its frames shown."""
    inputs = {"samples": ["sample", 0], "vae": ["model", 2], "frames_at_a_time": 16, "tiled": False, "tile_size": 512}
    graph["decode"] = node("SEINEVAEDecode", **inputs)
    graph["frames"] = node("PreviewImage", images=["decode", 0])
    return graph


@pytest.fixture(scope="module")
def page(packed, adapter):  # noqa: F811 - whose file is to be in the interface's lists
    try:
        with browser.browser() as chromium:
            browser.save_settings(packed.client.address, browser.SETTINGS)
            page = browser.open_interface(chromium, packed.client.address, height=1000)
            page.route(f"**/{BROKEN_SCRIPT}", lambda route: route.abort())
            page.reload()
            browser.wait_until_ready(page)
            yield page
            page.close()
    except LookupError as problem:
        pytest.skip(str(problem))


@pytest.mark.parametrize(
    "name", ["animatediff-prompt-schedule", "videohelper-combine", "controlnet-by-frame", "ipadapter"]
)
def test_it_runs_in_the_interface(page, packed, adapter, name):  # noqa: F811
    graph = {
        "animatediff-prompt-schedule": lambda: with_frames(sampled(scheduled(SCHEDULE))),
        "videohelper-combine": lambda: combined(decoded(16), "video/h264-mp4"),
        "controlnet-by-frame": lambda: with_frames(by_frame(controlled(), {0: 1.0, 1: 0.5, 2: 0.0, 3: 0.0})),
        "ipadapter": lambda: with_frames(adapted(adapter, COLOURS[:1])),
    }[name]()
    graph["sample"]["inputs"] |= {"seed": 4321, "steps": 20}  # nothing of it is in the server's cache, nor over at once
    page.evaluate(DRAW, drawn(graph, packed.client.object_info()))
    page.wait_for_timeout(2500)
    assert page.evaluate("() => app.graph._nodes.length") == len(graph)
    page.evaluate(RUN)
    page.wait_for_function("() => seen.done || seen.errors.length", timeout=120_000)
    assert page.evaluate("() => seen.errors") == []
    assert page.get_by_text("missing a required input").count() == 0
    assert page.evaluate("() => seen.previews") > 0
    page.wait_for_timeout(2500)
    browser.screenshot(page, f"pack-{name}")
