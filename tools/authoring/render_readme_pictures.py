"""Makes the README's pictures: `python tools/authoring/render_readme_pictures.py [NAME …]`.

docs/images/graph-NAME.png is the workflow as the modern host's interface shows it, docs/images/result-NAME.png some
frames of what it makes with the small model; of the transition also docs/images/hero.gif. Without a NAME also the
template dialog (docs/images/templates.png) and a run with its preview (docs/images/running.png).
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.hosting import browser, environment, hosts, workflow_graph
from tools.hosting.model_files import BASE, INTERPOLATOR, SEINE, SMALL_CFG, SMALL_MODEL, SMALL_SIZE, UPSCALER

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "images"
SIDE, SHOWN, GAP = 96, 8, 4
"""Of a result: height of its frames in pixels, how many there are, and the space between them."""
HEIGHT = 1000
"""Of the browser's window."""
COLOURS = 128
PANEL, HELD, MILLISECONDS = 160, 6, 110
"""Of the moving picture: side of its panels, how long either end is held, in frames, and how long a frame is shown."""
WIDTH = 900
"""Of the dialog's picture."""
SHOW = """async workflow => {
    await app.loadGraphData(workflow)
    const boxes = app.graph._nodes.map(node => [node.pos[0], node.pos[1] - 40, ...node.size])
    const left = Math.min(...boxes.map(box => box[0])) - 30, top = Math.min(...boxes.map(box => box[1])) - 40
    const right = Math.max(...boxes.map(box => box[0] + box[2])) + 30
    const bottom = Math.max(...boxes.map(box => box[1] + box[3])) + 60
    const place = document.querySelector('#graph-canvas').getBoundingClientRect()
    const margin = 100
    const scale = Math.min((place.width - 2 * margin) / (right - left), (place.height - 2 * margin) / (bottom - top))
    app.canvas.ds.scale = scale
    app.canvas.ds.offset[0] = margin / scale - left
    app.canvas.ds.offset[1] = margin / scale - top
    app.canvas.setDirty(true, true)
    return {x: place.left + margin, y: place.top + margin,
            width: (right - left) * scale, height: (bottom - top) * scale}
}"""
BALL, RING, CROSS = (f"seine_{name}.png" for name in ("red_ball", "yellow_ring", "purple_cross"))
MOVES = "a red ball moves right over a green field"
CHANGES = "a yellow ring over blue stripes changes into a purple cross over a pink field"
STORY = f"""shot 12: {MOVES}
transition 10: a red ball over a green field changes into a yellow ring over blue stripes
shot 12: a yellow ring stays still over blue stripes
transition 10: {CHANGES}
shot 12: a purple cross stays still over a pink field"""
EXAMPLES: dict[str, tuple[list[str], dict[str, str]]] = {
    "image_to_video": ([BALL], {"prompt": MOVES}),
    "transition": ([RING, CROSS], {"prompt": CHANGES}),
    "text_to_video": ([], {"prompt": "a blue triangle grows over a brown field"}),
    "extend_video": ([BALL], {"prompt": MOVES}),
    "loop": ([BALL], {"prompt": MOVES}),
    "story": ([BALL, RING, CROSS], {"story": STORY}),
    "try_the_small_model": ([], {"prompt": "a purple ring moves up over grey tiles"}),
}
"""Pictures and words each workflow is shown with. The chained one is a graph alone: it needs files to upscale."""


def main() -> int:
    code = environment.enter(Path(__file__), "client", "browser")
    if code is not None:
        return code
    from tools.hosting.server import ComfyServer

    names = sys.argv[1:] or list(workflow_graph.TITLES)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as base,
        ComfyServer(hosts.find("modern"), Path(base)) as server,
    ):
        for file in (SEINE, BASE, UPSCALER, INTERPOLATOR):  # named in the graphs, not loaded
            (server.models / file.directory).mkdir(exist_ok=True)
            (server.models / file.directory / file.name).touch()
        for name in names:
            if name in EXAMPLES:
                frames = result(server.client, name)
                strip(frames).save(FOLDER / f"result-{name}.png", optimize=True)
                if name == "transition":
                    save_hero(frames)
        graphs(server.client.address, names)
    return 0


def result(client, name: str) -> list:
    """Frames of what the workflow makes."""
    import av

    pictures, words = EXAMPLES[name]
    settings = {"model_name": SMALL_MODEL, "base_name": "bundled", "width": SMALL_SIZE, "height": SMALL_SIZE}
    graph = workflow_graph.with_images(workflow_graph.load(name), pictures)
    if "prompt" in words:
        graph = workflow_graph.with_prompt(graph, words["prompt"])
    else:
        settings |= words
    (file,) = client.files(client.run(workflow_graph.with_inputs(graph, **settings, cfg=SMALL_CFG)))
    with av.open(io.BytesIO(client.fetch(file))) as video:
        return [frame.to_image() for frame in video.decode(video=0)]


def strip(frames: list):
    """Some of the frames in a row."""
    from PIL import Image

    row = Image.new("RGB", (SHOWN * (SIDE + GAP) - GAP, SIDE), "white")
    for index in range(SHOWN):
        frame = frames[round(index * (len(frames) - 1) / (SHOWN - 1))]
        row.paste(frame.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (index * (SIDE + GAP), 0))
    return row.quantize(COLOURS)


def save_hero(frames: list) -> None:
    """The two pictures that are given, and between them the way from one to the other and back, as a GIF."""
    from PIL import Image

    ends = [Image.open(REPOSITORY / "example_inputs" / name).convert("RGB") for name in (RING, CROSS)]
    panels = []
    for frame in (*[frames[0]] * HELD, *frames, *[frames[-1]] * HELD, *frames[-2:0:-1]):
        panel = Image.new("RGB", (3 * PANEL + 2 * GAP, PANEL), "white")
        for place, picture in enumerate((ends[0], frame, ends[1])):
            panel.paste(picture.resize((PANEL, PANEL), Image.Resampling.LANCZOS), (place * (PANEL + GAP), 0))
        panels.append(panel.quantize(COLOURS // 2, dither=Image.Dither.NONE))
    panels[0].save(
        FOLDER / "hero.gif", save_all=True, append_images=panels[1:], duration=MILLISECONDS, loop=0, optimize=True
    )


def graphs(address: str, names: list[str]) -> None:
    """Photograph the workflows in the interface."""
    browser.save_settings(address, browser.SETTINGS)
    with browser.browser() as chromium:
        page = browser.open_interface(chromium, address, HEIGHT)
        for name in names:
            area = page.evaluate(SHOW, saved(name))
            page.wait_for_timeout(2500)
            keep(page.screenshot(clip=area), f"graph-{name}")
        if not sys.argv[1:]:
            page.get_by_role("button", name="Templates").first.click()
            page.get_by_role("dialog").get_by_text("comfyui-seine").first.click()
            page.wait_for_timeout(3000)
            keep(page.screenshot(), "templates", WIDTH)
            page.keyboard.press("Escape")
            area = page.evaluate(SHOW, saved("try_the_small_model"))
            page.evaluate(
                "() => { window.seen = 0; app.api.addEventListener('b_preview_with_metadata', () => window.seen++);"
                " app.queuePrompt(0) }"
            )
            page.wait_for_function("() => window.seen >= 16", timeout=60_000)
            keep(page.screenshot(clip=area), "running")


def saved(name: str) -> dict:
    """The workflow as the interface loads it."""
    return json.loads(workflow_graph.interface_file(name).read_text(encoding="utf-8"))


def keep(png: bytes, name: str, width: int | None = None) -> None:
    """Store a screenshot with few colours, and narrower."""
    from PIL import Image

    shot = Image.open(io.BytesIO(png)).convert("RGB")
    if width:
        shot = shot.resize((width, shot.height * width // shot.width), Image.Resampling.LANCZOS)
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
