"""The workflows users open: complete, current, and run by every host."""

import io
import json
from pathlib import Path

import pytest

from tests.published import write_models
from tools import build_workflows, workflow_graph
from tools.model_files import INTERPOLATOR

FOLDER = Path(__file__).parents[1] / "workflows"
NAMES = sorted(build_workflows.workflows())
FRAMES, WIDTH, HEIGHT, STEPS = 8, 80, 48, 4
STORY = "shot 8: a flower\ntransition 6: it opens\nshot 8: a meadow\ntransition 6: night falls\nshot 1: stars"
LENGTHS = {"extend_video": 2 * FRAMES, "loop": 2 * FRAMES, "story": 29}


def test_every_workflow_has_both_formats_and_a_thumbnail():
    expected = {"image_to_video", "transition", "text_to_video", "transition_upscale_interpolate"}
    expected |= {"extend_video", "loop", "story"}
    assert set(NAMES) == expected
    assert {path.stem for path in FOLDER.glob("*.json")} == expected
    assert {path.stem for path in FOLDER.glob("*.jpg")} == expected
    assert {path.stem for path in (FOLDER / "api").glob("*.json")} == expected
    assert all(path.stat().st_size < 60_000 for path in FOLDER.glob("*.jpg"))


@pytest.mark.parametrize("name", NAMES)
def test_nodes_do_not_overlap(name):
    nodes = json.loads((FOLDER / f"{name}.json").read_text())["nodes"]
    title = 30
    boxes = [(n["pos"][0], n["pos"][1] - title, n["size"][0], n["size"][1] + title, n["type"]) for n in nodes]
    for i, (x, y, w, h, kind) in enumerate(boxes):
        for x2, y2, w2, h2, other in boxes[i + 1 :]:
            apart = x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
            assert apart, f"{kind} and {other}"


@pytest.mark.parametrize("name", NAMES)
def test_files_to_download_are_those_the_nodes_name(name):
    nodes = json.loads((FOLDER / f"{name}.json").read_text())["nodes"]
    notes = "".join(node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote")
    for node in nodes:
        named = [value for value in node["widgets_values"] if str(value).endswith((".pt", ".pth", ".safetensors"))]
        hints = node["properties"].get("models", [])
        assert [hint["name"] for hint in hints] == named
        for hint in hints:
            assert hint["url"].startswith("https://huggingface.co/") and hint["url"].endswith(f"/{hint['name']}")
            assert f"[{hint['name']}]({hint['url']}) → `models/{hint['directory']}`" in notes


@pytest.fixture(scope="session")
def ready(server, host, run_in_host):
    """What the workflows name: small checkpoints and models, example image."""
    from PIL import Image

    write_models(server.models)
    if host.name == "modern":
        run_in_host("interpolation_model.py", file=str(server.models / INTERPOLATOR.directory / INTERPOLATOR.name))
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((200, 120)).convert("RGB").save(picture, "PNG")
    server.client.upload_image("example.png", picture.getvalue())


def adapted(client, name):
    available = client.object_info()
    graph = workflow_graph.for_older_hosts(workflow_graph.load(name), available)
    # A seed of its own, or the server would answer the part that two workflows share from its cache.
    settings = {"width": WIDTH, "height": HEIGHT, "steps": STEPS, "seed": NAMES.index(name)}
    settings |= {"story": STORY} if name == "story" else {"frames": FRAMES}
    return workflow_graph.with_inputs(graph, **settings), available


def decoded(content: bytes, filename: str) -> tuple[int, tuple[int, int]]:
    """Number of frames and (width, height) of a video or animated picture."""
    if filename.endswith(".webp"):
        from PIL import Image

        picture = Image.open(io.BytesIO(content))
        return picture.n_frames, picture.size
    import av

    with av.open(io.BytesIO(content)) as container:
        frames = list(container.decode(video=0))
    return len(frames), (frames[0].width, frames[0].height)


@pytest.mark.parametrize("name", NAMES)
def test_workflow_runs(client, ready, name):
    graph, available = adapted(client, name)
    events = []
    outputs = client.run(graph, events.append)
    (file,) = client.files(outputs)
    for sampler in ("SEINEKSampler", "SEINEExtendVideo", "SEINEStory"):
        for node_id in workflow_graph.nodes_of(graph, sampler):
            steps = [(event.value, event.maximum) for event in events if event.node_id == node_id and event.maximum]
            assert steps == sorted(set(steps)) and steps[-1][0] == steps[-1][1]  # the server may leave out quick ones
            assert steps[-1][1] % STEPS == 0 and len({maximum for _, maximum in steps}) == 1
    frames, size = decoded(client.fetch(file), file.filename)
    chained = name == "transition_upscale_interpolate"
    factor = 4 if chained and "FrameInterpolate" in available else 1
    assert frames == (LENGTHS.get(name, FRAMES) - 1) * factor + 1
    assert size == ((2 * WIDTH, 2 * HEIGHT) if chained else (WIDTH, HEIGHT))
    if "SaveVideo" in available:
        assert file.filename.endswith(".mp4")


def test_committed_files_are_what_the_description_gives(client, host):
    if host.name != "modern":
        pytest.skip("the interface's format is the modern host's")
    for path, content in build_workflows.files(client.object_info()).items():
        assert (FOLDER / path).read_text(encoding="utf-8") == content, f"{path}: run tools/build_workflows.py"


def test_templates_are_found_by_the_interface(client, host):
    if host.name != "modern":
        pytest.skip("this host has no template browser")
    assert set(client.templates()["comfyui-seine"]) == set(NAMES)
