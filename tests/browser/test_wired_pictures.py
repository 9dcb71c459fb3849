"""What the timelines know of pictures further up the wires, before a run."""

import pytest

from tests.browser.nodes_on_the_page import CLIP, MODE, WIRE, add
from tests.graphs import node
from tools.hosting.model_files import UPSCALER

pytestmark = pytest.mark.one_host
MODULE = "/extensions/comfyui-seine/js/wired_pictures.js"


def test_pictures_are_followed_up_the_wires(page):
    """Through what changes a picture, batches and reroutes; not where only a run can tell, nor past a muted node."""
    clip = add(page, CLIP)
    first, second = (add(page, "LoadImage", values={"image": name}) for name in ("first.png", "sub/second.png [temp]"))
    scale, batch, grow = (add(page, kind) for kind in ("ImageScale", "ImageBatch", "RepeatImageBatch"))
    small, reroute = add(page, "ImageScaleBy"), add(page, "Reroute")
    wires = [
        (first, reroute, ""),
        (reroute, scale, "image"),
        (scale, batch, "image1"),
        (second, batch, "image2"),
        (batch, small, "image"),
        (scale, grow, "image"),
    ]
    for wire in [*wires, (scale, clip, "first_image"), (small, clip, "keyframes"), (grow, clip, "last_image")]:
        page.evaluate(WIRE, list(wire))

    def followed(name, single):
        return page.evaluate(
            """async ([module, clip, name, single]) => {
                const {picturesOf} = await import(module)
                const found = picturesOf(app.graph.getNodeById(clip), name, single)
                const file = address => Object.fromEntries(new URL(address, location).searchParams)
                return found?.map(address => address && file(address)) ?? null
            }""",
            [MODULE, clip, name, single],
        )

    one = {"filename": "first.png", "subfolder": "", "type": "input"}
    other = {"filename": "second.png", "subfolder": "sub", "type": "temp"}
    assert followed("first_image", True) == [one]
    assert followed("keyframes", False) == [one, other]
    assert followed("last_image", True) == [None], "some picture"
    assert followed("last_image", False) is None, "some pictures"
    assert followed("more_keyframes.keyframe0", True) == []
    page.evaluate(MODE, [grow, 4])
    assert followed("last_image", False) == [one], "past a bypassed node"
    page.evaluate("id => { app.graph.getNodeById(id).widgets[0].value = 'first.gif' }", first)
    assert followed("last_image", False) is None, "as many as it has frames"
    assert followed("last_image", True) == [one | {"filename": "first.gif"}]
    page.evaluate(MODE, [scale, 2])
    assert followed("first_image", True) == [], "a muted node gives none"


def test_nodes_that_are_looked_through_give_one_picture_for_each(page, served):
    names = page.evaluate(
        "async () => [...(await import('/extensions/comfyui-seine/js/wired_pictures.js')).ONE_FOR_ONE]"
    )
    known = served.client.object_info()
    loader = node("UpscaleModelLoader", model_name=UPSCALER.name)
    graph = {"upscale_model": loader, "image": node("EmptyImage", width=32, height=32, batch_size=3, color=0)}
    for name in names:
        inputs = {key: value_of(key, spec) for key, spec in known[name]["input"]["required"].items()}
        graph[name] = node(name, **inputs)
        graph[f"{name} seen"] = node("PreviewImage", images=[name, 0])
    outputs = served.client.run(graph)
    assert {name: len(outputs[f"{name} seen"]["images"]) for name in names} == dict.fromkeys(names, 3)


def value_of(key, spec):
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    if kind in ("IMAGE", "UPSCALE_MODEL"):
        return [key.rstrip("s"), 0]
    small = {"width": 16, "height": 16, "target_width": 16, "target_height": 16, "megapixels": 0.01}
    choices = kind if isinstance(kind, list) else options.get("options", [None])
    return small.get(key, options.get("default", choices[0]))
