"""Films as videos that are decoded while they are written."""

import pytest

from tests.graphs import FRAMES, SIZE, clip, images, node, sampled


@pytest.fixture(scope="module")
def facts(run_in_host):
    return run_in_host("videos.py")


def test_video_is_the_hosts_own_but_decodes_a_few_frames_at_a_time(facts):
    report = facts
    assert (report["size"], report["frames"], report["rate"]) == ([64, 64], 11, "25/2")
    assert report["seconds"] == pytest.approx(11 / 12.5)
    assert report["decoded for that"] == [], "asking for length and size decodes nothing"
    assert report["decoded at a time"] == [4, 4, 3]
    assert report["written"] == [[11, 64, 64, 3]] * 2 and report["iterated"]
    assert report["difference"] < 2, "levels of 255; the encoder itself is not the same to the bit"
    assert report["components"] == [[11, 64, 64, 3], "25/2"] and report["components equal"]
    assert report["again"] == [11, 64, 64, 3], "it can be saved twice"


def test_stock_nodes_take_the_video(client):
    graph = sampled(clip())
    graph["video"] = node("SEINEDecodeToVideo", samples=["sample", 0], vae=["model", 2], fps=10.0, frames_at_a_time=3)
    graph["parts"] = node("GetVideoComponents", video=["video", 0])
    graph["frames"] = node("SaveImage", images=["parts", 0], filename_prefix="video")
    graph["saved"] = node("SaveVideo", video=["video", 0], filename_prefix="video", format="mp4", codec="h264")
    del graph["latent"]
    outputs = client.run(graph)
    assert any(file.filename.endswith(".mp4") for file in client.files(outputs))
    assert images(client, graph)["frames"].shape == (FRAMES, SIZE, SIZE, 3)


def test_sound_goes_with_it(facts):
    saved, in_components, without = facts["sound"]
    assert saved[0] == 2 and abs(saved[1] - 11 / 12.5) < 0.2, "cut off where the frames end"
    assert in_components and without is None


def test_colours_of_new_frames_are_matched_in_a_graph(client):
    graph = {
        "bright": node("EmptyImage", width=32, height=32, batch_size=3, color=0xA08060),
        "dark": node("EmptyImage", width=32, height=32, batch_size=2, color=0x605040),
    }
    graph["matched"] = node(
        "SEINEMatchColors",
        images=["dark", 0],
        reference=["bright", 0],
        reference_is="before",
        frames=2,
        strength=1.0,
    )
    for name in ("bright", "matched"):
        graph[f"saved {name}"] = node("SaveImage", images=[name, 0], filename_prefix=name)
    pictures = images(client, graph)
    assert pictures["saved matched"].shape == (2, 32, 32, 3)
    assert (pictures["saved matched"].int() - pictures["saved bright"][:2].int()).abs().max() <= 1
