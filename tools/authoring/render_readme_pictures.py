"""Makes the README's pictures: `python tools/authoring/render_readme_pictures.py [NAME …]`.

docs/images/graph-NAME.png is the workflow as the modern host's interface shows it, docs/images/result-NAME.gif what it
makes with the small model, beside the pictures it is given; of the transition also docs/images/hero.gif, of four the
pictures of help pages, web/docs/NODE/clip.gif. Without a NAME also the template dialog (docs/images/templates.png) and
a run with its preview (docs/images/running.png).
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.authoring.batch_workflows import SOURCE
from tools.authoring.few_step_workflows import FEW
from tools.hosting import browser, environment, hosts, workflow_graph
from tools.hosting.model_files import BASE, INTERPOLATOR, SEINE, SMALL_CFG, SMALL_MODEL, SMALL_SIZE, UPSCALER

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "images"
SIDE, GAP = 128, 4
"""Of a result: height of its pictures in pixels, and the space between them."""
MOST_SHOWN, MOST_BYTES, MOST_BYTES_OF_HELP = 32, 300_000, 200_000
"""Frames of a result, of longer films every second or third, and the size of its file."""
HELP = REPOSITORY / "web" / "docs"
HELP_PAGES = {
    "image_to_video": ("SEINEImageToVideo", 1),
    "extend_video": ("SEINEExtendVideo", 1),
    "story": ("SEINEStory", 0),
    "text_to_video": ("SEINEKSampler", 0),
}
"""Workflows whose clips the help pages of nodes show, and how many of the given pictures beside them."""
FPS = 8
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
cut
shot 12 seed 7: a purple cross spins over a pink field"""
EXAMPLES: dict[str, tuple[list[str], dict[str, str]]] = {
    "image_to_video": ([BALL], {"prompt": MOVES}),
    "transition": ([RING, CROSS], {"prompt": CHANGES}),
    "keyframes": ([BALL, RING, CROSS], {"prompt": CHANGES}),
    "text_to_video": ([], {"prompt": "a blue triangle grows over a brown field"}),
    "prompt_travel": ([], {}),
    "extend_video": ([BALL], {"prompt": MOVES}),
    "extend_file": ([], {"prompt": MOVES}),
    "loop": ([BALL], {"prompt": MOVES}),
    "story": ([BALL, RING, CROSS], {"story": STORY}),
    "stop_and_go_on": ([BALL], {"prompt": MOVES}),
    "second_pass": ([BALL], {"prompt": MOVES}),
    "four_steps": ([BALL], {"prompt": MOVES}),
    "motion_and_camera": ([BALL], {"prompt": MOVES}),
    "video_to_video": ([], {}),
    "try_the_small_model": ([], {"prompt": "a purple ring moves up over grey tiles"}),
}
"""Pictures and words each workflow is shown with.

Two are graphs alone: one needs files to upscale, the other waits for changes.
"""
PAIRS = {
    CHANGES: (RING, CROSS),
    "a red ball over a green field changes into a yellow ring over blue stripes": (BALL, RING),
    "a purple cross over a pink field changes into a red ball over a green field": (CROSS, BALL),
}
"""What the workflow of pairs is shown with: a run for each."""
BATCH = "batch_transitions"


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
        if BATCH in names:
            save_moving([], batch_results(server), FOLDER / f"result-{BATCH}.gif", MOST_BYTES)
        for name in names:
            if name in EXAMPLES:
                films = results(server.client, name)
                given = EXAMPLES[name][0]
                save_moving(given, films, FOLDER / f"result-{name}.gif", MOST_BYTES)
                if name in HELP_PAGES:
                    node, stills = HELP_PAGES[name]
                    save_moving(given[:stills], films, HELP / node / "clip.gif", MOST_BYTES_OF_HELP)
                if name == "transition":
                    save_hero(films[0])
        graphs(server.client.address, names)
    return 0


def results(client, name: str) -> list[list]:
    """Frames of each video that the workflow makes: of one that stops, its preview is the first."""
    pictures, words = EXAMPLES[name]
    graph = workflow_graph.with_images(workflow_graph.load(name), pictures)
    if "prompt" in words:
        graph = workflow_graph.with_prompt(graph, words["prompt"])
    else:
        graph = workflow_graph.with_inputs(graph, **words)
    return made(client, graph)


def batch_results(server) -> list[list]:
    """Frames of the transition that each run of the workflow makes."""
    for prompt, pair in PAIRS.items():
        folder = server.base / "input" / SOURCE / prompt.replace(" ", "_")
        folder.mkdir(parents=True)
        for number, picture in enumerate(pair):
            shutil.copyfile(REPOSITORY / "example_inputs" / picture, folder / f"{number}.png")
    graph = workflow_graph.load(BATCH)
    runs = [workflow_graph.with_inputs(graph, index=index, seed=index) for index in range(len(PAIRS))]
    return [film for run in runs for film in made(server.client, run)]


def made(client, graph: workflow_graph.Graph) -> list[list]:
    """Frames of each video that the graph makes with the small model."""
    import av

    graph = workflow_graph.with_size(graph, SMALL_SIZE, SMALL_SIZE)
    graph = workflow_graph.with_inputs(graph, model_name=SMALL_MODEL, base_name="bundled")
    if FEW["cfg"] not in {node["inputs"].get("cfg") for node in graph.values()}:
        graph = workflow_graph.with_inputs(graph, cfg=SMALL_CFG)
    films = []
    for file in client.files(client.run(graph)):
        with av.open(io.BytesIO(client.fetch(file))) as video:
            films.append([frame.to_image() for frame in video.decode(video=0)])
    return films


def save_moving(given: list[str], films: list[list], path: Path, most: int) -> None:
    """The pictures that are given, and beside them the films, as a GIF in few enough colours to be small."""
    from PIL import Image

    stills = [Image.open(REPOSITORY / "example_inputs" / file).convert("RGB") for file in given]
    every = -(-len(films[0]) // MOST_SHOWN)
    shown = [*zip(*films, strict=True)][::every]
    pages = []
    for frames in shown:
        row = [*stills, *frames]
        page = Image.new("RGB", (len(row) * (SIDE + GAP) - GAP, SIDE), "white")
        for place, picture in enumerate(row):
            page.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (place * (SIDE + GAP), 0))
        pages.append(page)
    together = Image.new("RGB", (pages[0].width, SIDE * len(pages)))
    for number, page in enumerate(pages):
        together.paste(page, (0, SIDE * number))
    for colours in (COLOURS, COLOURS // 2, COLOURS // 4):
        palette = together.quantize(
            colours
        )  # one for all frames: what stands still takes no room, and does not flicker
        few = [page.quantize(palette=palette, dither=Image.Dither.NONE) for page in pages]
        content = io.BytesIO()
        times = {"duration": every * 1000 // FPS, "loop": 0}
        few[0].save(content, "GIF", save_all=True, append_images=few[1:], optimize=True, **times)
        if len(content.getvalue()) <= most:
            break
    path.write_bytes(content.getvalue())


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
