"""The workflows users open: complete, current, and run by every host."""

import io
import json
import re
from pathlib import Path

import pytest
import torch

from tests.graphs import latents
from tests.published import comparable, other_inputs, write_models
from tools.authoring import apps, batch_workflows, build_workflows, few_step_workflows
from tools.authoring.graph_formats import api_format
from tools.authoring.render_examples import VIDEO_FRAMES, VIDEO_SIZE
from tools.hosting import workflow_graph
from tools.hosting.model_files import INTERPOLATOR, SMALL_CFG, SMALL_LORA, SMALL_MODEL
from tools.hosting.server import place_file
from tools.training.small_model import measures

FOLDER = workflow_graph.INTERFACE_FOLDER
TITLES = workflow_graph.TITLES
NAMES = sorted(build_workflows.workflows())
FRAMES, WIDTH, HEIGHT, STEPS = 16, 64, 64, 12
FEW = ("four_steps", "interactive")
"""Run as they are: their steps and cfg are what they are about."""
EXAMPLES = Path(__file__).parents[3] / "example_inputs"
PROMPT = "a red ball moves right over a green field"
STORY = f"shot 12: {PROMPT}\ntransition 8: {PROMPT}\nshot 8: {PROMPT}\ncut\nshot 9 seed 7: {PROMPT}"
LENGTHS = {"extend_video": 2 * FRAMES, "loop": 2 * FRAMES, "story": 37, "extend_file": VIDEO_FRAMES + FRAMES}
LENGTHS["video_to_video"] = VIDEO_FRAMES
BALL, RING, CROSS = build_workflows.BALL, build_workflows.RING, build_workflows.CROSS
KEPT = {
    **dict.fromkeys(("image_to_video", "extend_video", "loop", "stop_and_go_on", "second_pass"), {0: BALL}),
    **dict.fromkeys(("four_steps", "motion_and_camera"), {0: BALL}),
    **dict.fromkeys(("transition", "batch_transitions"), {0: RING, -1: CROSS}),
    "keyframes": {0: BALL, 7: RING, -1: CROSS},
    "story": {0: BALL, 20: RING, 28: CROSS},
}
"""Frames that show an example image."""
ENLARGED = {"transition_upscale_interpolate": 2, "try_the_small_model": 4, "prompt_travel": 4, "second_pass": 3.75}
ENLARGED |= {"four_steps": 4, "motion_and_camera": 4, "video_to_video": 4}
"""How many times the size that the first sampler is given a video has."""
PAIRS = {"a ball becomes a ring": (BALL, RING), build_workflows.RING_TO_CROSS: (RING, CROSS)}
PAIRS_FOLDER = "pairs_of_the_template"


def saved_nodes(name):
    return json.loads(workflow_graph.interface_file(name).read_text(encoding="utf-8"))["nodes"]


def test_every_workflow_has_both_formats_and_a_thumbnail():
    expected = {"image_to_video", "transition", "text_to_video", "transition_upscale_interpolate"}
    expected |= {"try_the_small_model", "prompt_travel", "extend_video", "extend_file", "loop", "story"}
    expected |= {"keyframes", "stop_and_go_on", "second_pass", "batch_transitions", "four_steps", "interactive"}
    expected |= {"motion_and_camera", "video_to_video"}
    assert set(NAMES) == expected
    shown = {TITLES[name] for name in expected} | {apps.title(name) for name in apps.APPS}
    assert {path.stem for path in FOLDER.glob("*.json")} == shown
    assert {path.stem for path in FOLDER.glob("*.jpg")} == shown
    assert {path.stem for path in (FOLDER / "api").glob("*.json")} == expected
    assert all(path.stat().st_size < 60_000 for path in FOLDER.glob("*.jpg"))


@pytest.mark.parametrize("name", NAMES)
def test_nodes_do_not_overlap(name):
    nodes = saved_nodes(name)
    title = 30
    boxes = [(n["pos"][0], n["pos"][1] - title, n["size"][0], n["size"][1] + title, n["type"]) for n in nodes]
    for i, (x, y, w, h, kind) in enumerate(boxes):
        for x2, y2, w2, h2, other in boxes[i + 1 :]:
            apart = x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
            assert apart, f"{kind} and {other}"


@pytest.mark.parametrize("name", NAMES)
def test_files_to_download_are_those_the_nodes_name(name):
    nodes = saved_nodes(name)
    notes = "".join(node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote")
    for node in nodes:
        named = [value for value in node["widgets_values"] if str(value).endswith((".pt", ".pth", ".safetensors"))]
        hints = node["properties"].get("models", [])
        assert [hint["name"] for hint in hints] == [name for name in named if name not in (SMALL_MODEL, SMALL_LORA)]
        for hint in hints:
            assert hint["url"].startswith("https://huggingface.co/") and hint["url"].endswith(f"/{hint['name']}")
            assert f"[{hint['name']}]({hint['url']}) → **models/{hint['directory']}**" in notes


@pytest.fixture(scope="session")
def ready(server, run_in_host):
    """What the workflows name, beside the small model that the pack brings."""
    write_models(server.models)
    for prompt, pair in PAIRS.items():
        folder = server.base / "input" / PAIRS_FOLDER / prompt.replace(" ", "_")
        folder.mkdir(parents=True)
        for number, picture in enumerate(pair, 1):
            place_file(EXAMPLES / picture, folder / f"{number}.png")
    run_in_host("interpolation_model.py", file=str(server.models / INTERPOLATOR.directory / INTERPOLATOR.name))


def adapted(name):
    graph = workflow_graph.with_size(workflow_graph.load(name), WIDTH, HEIGHT)
    # A seed of its own, or the server would answer the part that two workflows share from its cache.
    seed = "noise_seed" if name == "stop_and_go_on" else "seed"
    settings = {seed: NAMES.index(name)} | ({} if name in FEW else {"steps": STEPS, "cfg": SMALL_CFG})
    for loader in workflow_graph.nodes_of(graph, "SEINECheckpointLoader"):
        graph[loader]["inputs"] |= {"model_name": SMALL_MODEL, "base_name": "bundled"}
    if name == "story":
        return workflow_graph.with_inputs(graph, **settings, story=STORY)
    if name == "text_to_video":  # its own is nothing that the small model knows
        graph = workflow_graph.with_prompt(graph, PROMPT)
    if name == "stop_and_go_on":
        settings["step"] = STEPS // 2
    if name == "batch_transitions":
        settings |= {"source": PAIRS_FOLDER, "index": 1}
    if name != "video_to_video":  # there, the video has as many as it has
        settings["frames"] = FRAMES
    return workflow_graph.with_inputs(graph, **settings)


def decoded(content: bytes) -> list:
    """The frames of a video or of an animated WebP, as pictures."""
    import av
    from PIL import Image, ImageSequence

    if content[8:12] == b"WEBP":
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(content)))]
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def likeness(frame, picture: str = BALL) -> float:
    """PSNR of a frame against an example image at its size, in dB."""
    import numpy
    from PIL import Image

    example = Image.open(EXAMPLES / picture).resize(frame.size)
    return measures.psnr(*(torch.from_numpy(numpy.array(picture)).float() / 255 for picture in (frame, example)))


@pytest.mark.parametrize("name", NAMES)
def test_workflow_runs(client, ready, name):
    graph = adapted(name)
    events = []
    outputs = client.run(graph, events.append)
    *previews, file = client.files(outputs)
    assert len(previews) == (1 if name == "stop_and_go_on" else 0)
    for sampler in ("SEINEKSampler", "SEINEExtendVideo", "SEINEStory", "SEINEExtendVideoFile"):
        for node_id in workflow_graph.nodes_of(graph, sampler):
            steps = [(event.value, event.maximum) for event in events if event.node_id == node_id and event.maximum]
            assert steps == sorted(set(steps)) and steps[-1][0] == steps[-1][1]  # the server may leave out quick ones
            assert (
                steps[-1][1] % (few_step_workflows.FEW["steps"] if name in FEW else STEPS) == 0
                and len({maximum for _, maximum in steps}) == 1
            )
    frames = decoded(client.fetch(file))
    chained = name == "transition_upscale_interpolate"
    factor = 4 if chained else 1
    assert len(frames) == (LENGTHS.get(name, FRAMES) - 1) * factor + 1
    enlarged = ENLARGED.get(name, 1)
    size = (VIDEO_SIZE, VIDEO_SIZE) if name == "extend_file" else (enlarged * WIDTH, enlarged * HEIGHT)
    assert frames[0].size == size
    if not chained:  # there, made-up weights enlarge the clip
        assert all(likeness(frames[index], picture) > 20 for index, picture in KEPT.get(name, {}).items())
        other = -1 if name == "extend_file" else FRAMES // 2
        changes = name not in ("transition", "keyframes", "story", "video_to_video")
        assert not changes or likeness(frames[other]) < 20
    assert file.filename.endswith(".webp" if name == "interactive" else ".mp4")
    if name == "batch_transitions":
        named = build_workflows.RING_TO_CROSS.replace(" ", "_")
        assert (file.subfolder, file.filename.rpartition("_0")[0]) == (batch_workflows.SAVED, named)


@pytest.mark.one_host
def test_a_video_sampled_anew_is_what_the_prompt_says_where_the_video_has_it(client, ready):
    frames = decoded(client.fetch(client.files(client.run(adapted("video_to_video")))[-1]))
    video = decoded((EXAMPLES / build_workflows.MOVING_BALL).read_bytes())
    for frame, original in zip(frames, video, strict=True):
        ring, ball = (is_red(picture.resize((WIDTH, HEIGHT))) for picture in (frame, original))
        places = [mask.nonzero().float().mean(0) for mask in (ring, ball)]
        assert (places[0] - places[1]).norm() < 6, "pixels of 64"
        row, column = places[1].round().int().tolist()
        assert ball[row, column]
    middle = [is_red(frame.resize((WIDTH, HEIGHT))) for frame in frames[FRAMES // 4 :]]
    assert all(not mask[tuple(mask.nonzero().float().mean(0).round().int().tolist())] for mask in middle), "a ring"


def is_red(picture) -> torch.Tensor:
    """Which pixels are, bool ``[height, width]``."""
    import numpy

    red, green, blue = torch.from_numpy(numpy.array(picture)).int().unbind(-1)
    return (red > 140) & (red > green + 60) & (red > blue + 60)


def test_committed_files_are_what_the_description_gives(client, host):
    for path, content in build_workflows.files(client.object_info()).items():
        committed = (FOLDER / path).read_text(encoding="utf-8")
        assert comparable(committed, host) == comparable(content, host), (
            f"{path}: run tools/authoring/build_workflows.py"
        )
        assert committed == content or other_inputs(host)


def test_templates_are_found_by_the_interface(client):
    assert set(client.templates()["comfyui-seine"]) == {*TITLES.values(), *map(apps.title, apps.APPS)}


def test_templates_are_listed_in_the_order_they_are_to_be_tried():
    """As the interface sorts by name: numbers as numbers."""
    assert list(TITLES) == list(build_workflows.workflows())
    numbers = [int(re.match(r"SEINE (\d+) \S", title)[1]) for title in TITLES.values()]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1


def test_a_bypassed_step_hands_on_what_comes_in_or_nothing():
    workflow = build_workflows.workflows()["four_steps"]
    for name in ("image 0", "lora"):
        workflow.steps[name].bypassed = True
    sent = {node["class_type"]: node["inputs"] for node in api_format(workflow).values()}
    assert not {"LoraLoaderModelOnly", "LoadImage"} & set(sent)
    assert sent["SEINEKSampler"]["model"] == ["1", 0] and "first_image" not in sent["SEINEImageToVideo"]


def test_a_widget_is_for_steps_that_are_given_the_same():
    workflow = build_workflows.workflows()["extend_video"]
    steps = workflow.shared[1]
    assert (steps.input, workflow.value_of(steps)) == ("steps", 25)
    workflow.steps["film"].inputs["steps"] = 30
    with pytest.raises(ValueError, match="steps"):
        workflow.value_of(steps)


@pytest.mark.one_host
def test_a_stopped_clip_goes_on_where_it_was_and_is_that_of_one_run(client):
    graph = adapted("stop_and_go_on")
    graph = workflow_graph.with_inputs(graph, noise_seed=1234)
    half, rest = workflow_graph.nodes_of(graph, "SamplerCustomAdvanced")
    preview, saved = workflow_graph.nodes_of(graph, "SaveVideo")
    split = graph[half]["inputs"]["sigmas"][0]
    whole = {**graph[half]["inputs"], "sigmas": graph[split]["inputs"]["sigmas"]}
    stopped = client.wait(client.queue(graph, [preview]))
    assert set(stopped) == {preview}, "nothing goes on from the preview by itself"
    ran = set()
    graph |= {
        "whole": {"class_type": "SamplerCustomAdvanced", "inputs": whole},
        "one run": {"class_type": "SaveLatent", "inputs": {"samples": ["whole", 0], "filename_prefix": "latents/one"}},
        "two": {"class_type": "SaveLatent", "inputs": {"samples": [rest, 0], "filename_prefix": "latents/two"}},
    }
    found = latents(client, graph, lambda event: ran.add(event.node_id))
    assert {rest, saved, "whole"} <= ran and not {half, preview} & ran, "the first steps are not made again"
    torch.testing.assert_close(found["two"], found["one run"], rtol=1e-4, atol=1e-4)
