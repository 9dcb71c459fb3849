"""SEINE Load Batch: folders and tables of pictures as jobs of one graph."""

from __future__ import annotations

import io
import json
import os

import pytest
from PIL import Image

from tests.graphs import node
from tests.tools.jobs.pictures import picture
from tools.hosting.client import ExecutionFailed, RunError

COLOURS = {"9_dusk": (20, 40), "10_dawn.v2": (60, 80)}


@pytest.fixture
def inputs(server):
    return server.base / "input"


def given(client, source, **inputs):
    """Prompts, names, number of jobs, and the red of the first pixel of each first and last image."""
    with_last = inputs.pop("last", True)
    load = {"source": source, "take": "all at once", "index": 0, "prompt": ""} | inputs
    graph = {
        "batch": node("SEINELoadBatch", **load),
        "first": node("SaveImage", images=["batch", 0], filename_prefix="batch/first"),
        "texts": node("PreviewAny", source=["batch", 2]),
        "names": node("PreviewAny", source=["batch", 3]),
        "count": node("PreviewAny", source=["batch", 4]),
    }
    if with_last:
        graph["last"] = node("SaveImage", images=["batch", 1], filename_prefix="batch/last")
    outputs = client.run(graph)
    reds = {"first": [], "last": []}
    for file in client.files(outputs):
        if file.node_id in reds:
            reds[file.node_id].append(Image.open(io.BytesIO(client.fetch(file))).getpixel((0, 0))[0])
    texts = {name: list(outputs[name]["text"]) for name in ("texts", "names", "count")}
    return texts["texts"], texts["names"], texts["count"][0], reds["first"], reds["last"]


def pairs(folder):
    for name, colours in COLOURS.items():
        for number, colour in zip(("9.png", "10.png"), colours, strict=True):
            picture(folder / name / number, colour)


@pytest.mark.one_host
def test_a_folder_of_pairs_in_natural_order(client, inputs):
    pairs(inputs / "pairs")
    assert given(client, "pairs") == (["9 dusk", "10 dawn"], ["9_dusk", "10_dawn.v2"], "2", [20, 60], [40, 80])
    one = given(client, "pairs", take="one each run", index=1, prompt="it changes")
    assert one == (["it changes"], ["10_dawn.v2"], "2", [60], [80])


@pytest.mark.one_host
def test_a_folder_is_looked_at_anew(client, inputs):
    for name in ("b.png", "a.png"):
        picture(inputs / "photos" / name, 30)
    assert given(client, "photos", last=False)[:4] == (["a", "b"], ["a", "b"], "2", [30, 30])
    os.rename(inputs / "photos/a.png", inputs / "photos/c.png")
    picture(inputs / "photos/b.png", 70)
    assert given(client, "photos", last=False)[:4] == (["b", "c"], ["b", "c"], "2", [70, 30])


@pytest.mark.one_host
def test_a_linked_folder_is_looked_at_anew_too(client, inputs, tmp_path):
    for number in range(3):
        picture(tmp_path / "elsewhere" / f"{number}.png", 30)
    (inputs / "links").mkdir()
    (inputs / "links" / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert given(client, "links")[3:] == ([30], [30])
    picture(tmp_path / "elsewhere" / "0.png", 90)
    assert given(client, "links")[3:] == ([90], [30])


@pytest.mark.one_host
def test_an_image_of_sixteen_bits_of_gray_is_as_bright_as_it_is(client, inputs):
    (inputs / "deep").mkdir()
    Image.new("I;16", (8, 8), 100 * 257).save(inputs / "deep" / "depth.png")
    assert given(client, "deep", last=False)[3] == [100]


@pytest.mark.one_host
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_table(client, inputs, ending):
    pairs(inputs / "table")
    rows = [
        {"images": "9_dusk/9.png;9_dusk/10.png", "prompt": "night falls, slowly"},
        {"images": "table/10_dawn.v2/9.png; 9_dusk/9.png", "name": "second"},
    ]
    text = "\n".join(map(json.dumps, rows))
    if ending == "csv":
        cells = [",".join(f'"{row.get(key, "")}"' for key in ("images", "prompt", "name")) for row in rows]
        text = "\n".join(["images,prompt,name", *cells])
    (inputs / f"table/rows.{ending}").write_text(text, encoding="utf-8")
    found = given(client, f"table/rows.{ending}")
    assert found == (["night falls, slowly", "9"], ["1", "second"], "2", [20, 60], [40, 20])


@pytest.mark.one_host
def test_what_is_no_job_is_refused_in_words(client, inputs):
    pairs(inputs / "odd")
    picture(inputs / "odd/alone/only.png")
    (inputs / "odd_rows.csv").write_text("images,promt\nodd/9_dusk/9.png,x\n")
    (inputs / "three.jsonl").write_text('{"images": ["odd/9_dusk/9.png", "odd/9_dusk/10.png", "odd/9_dusk/9.png"]}')
    (inputs / "outside.jsonl").write_text('{"images": ["../../secret.png"]}')
    picture(inputs.parent / "secret.png")
    for source, words in {
        "odd": "alone has fewer than the two images",
        "od": "the nearest is odd",
        "nowhere": "put it there, a folder with a sub-folder of two images for each transition",
        "": "is no name below ComfyUI's input folder",
        "../output": "is no name below ComfyUI's input folder",
        "/etc": "is no name below ComfyUI's input folder",
        "odd_rows.csv": "there is no key 'promt'; the nearest is prompt",
        "three.jsonl": "images has 3 of them",
        "outside.jsonl": "there is no image '../../secret.png'",
        "odd/9_dusk/9.png": "is no folder, nor a table",
        "a" * 300: "ComfyUI's input folder has no",
    }.items():
        with pytest.raises(RunError, match=".") as raised:
            given(client, source)
        assert words in str(raised.value), source
    with pytest.raises(ExecutionFailed, match="index: it is 2, and the last job of source is 1"):
        given(client, "odd/9_dusk", take="one each run", index=2, last=False)


@pytest.mark.one_host
def test_a_bad_one_stops_no_other(client, inputs):
    pairs(inputs / "some")
    picture(inputs / "some/9_dusk/8.png")
    picture(inputs / "some/1_alone/only.png")
    good, half = '{"images": "some/9_dusk/9.png"}', r'{"images": "some/9_dusk/9.png", "prompt": "\ud800"}'
    rows = [good, '{"images": "missing.png"}', "{", half, json.dumps({"images": "a" * 300}), good]
    (inputs / "some.jsonl").write_text("\n".join(rows))
    (inputs / "some.csv").write_bytes(b"images\n" + b"some/9_dusk/9.png\n" * 3000 + b"\xff\n")
    for source, index, words in [
        ("some", 0, "1_alone has fewer than the two images"),
        ("some.jsonl", 1, "row 2: there is no image 'missing.png'"),
        ("some.jsonl", 2, "row 3: it cannot be read"),
        ("some.jsonl", 3, "row 4: prompt has half a character"),
        ("some.jsonl", 4, "row 5: there is no image"),
    ]:
        with pytest.raises(ExecutionFailed, match=words):
            given(client, source, take="one each run", index=index, last=False)
    assert given(client, "some", take="one each run", index=1)[:3] == (["9 dusk"], ["9_dusk"], "3")
    for index in (0, 5):
        found = given(client, "some.jsonl", take="one each run", index=index, last=False)
        assert found[:3] == (["9"], [str(index + 1)], "6")
    assert given(client, "some.csv", take="one each run", index=3, last=False)[0] == ["9"]
    with pytest.raises(ExecutionFailed, match="row 2: there is no image"):
        given(client, "some.jsonl", last=False)
    if os.name == "posix":
        for name in (b"caf\xe9.png", b"good.png"):
            os.rename(picture(inputs / "latin/x.png"), os.fsencode(inputs / "latin") + b"/" + name)
        with pytest.raises(ExecutionFailed, match="is no UTF-8 text: rename it"):
            given(client, "latin", take="one each run", index=0, last=False)
        assert given(client, "latin", take="one each run", index=1, last=False)[0] == ["good"]


@pytest.mark.one_host
def test_one_graph_makes_transitions_and_clips_of_one_image(client, inputs):
    """A folder with both: where there is no last image, the wire brings nothing."""
    pairs(inputs / "both")
    picture(inputs / "both/alone.png", 90)
    graph = {
        "batch": node("SEINELoadBatch", source="both", take="all at once", index=0, prompt=""),
        "model": node(
            "SEINECheckpointLoader", model_name="sample.safetensors", base_name="bundled", weight_dtype="fp32"
        ),
        "positive": node("CLIPTextEncode", text=["batch", 2], clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
        "clip": node(
            "SEINEImageToVideo",
            positive=["positive", 0],
            negative=["negative", 0],
            vae=["model", 2],
            width=64,
            height=64,
            resize_mode="crop",
            batch_size=1,
            frames=4,
            first_image=["batch", 0],
            last_image=["batch", 1],
        ),
        "latent": node("SaveLatent", samples=["clip", 2], filename_prefix=["batch", 3]),
    }
    files = [file.filename for file in client.files(client.run(graph))]
    assert [name.partition("_0")[0] for name in files] == ["alone", "9_dusk", "10_dawn.v2"]
