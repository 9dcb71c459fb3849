"""Clips as animated GIF files."""

import io

import pytest
from PIL import Image

from tests.graphs import node


def frames(color):
    return node("EmptyImage", width=48, height=32, batch_size=4, color=color)


def saved(client, **settings):
    """The GIF of 8 frames, four red and four blue."""
    graph = {"red": frames(0xE02010), "blue": frames(0x1020E0)}
    graph["clip"] = node("ImageBatch", image1=["red", 0], image2=["blue", 0])
    inputs = {"images": ["clip", 0], "filename_prefix": "gifs/test", "fps": 7.0, "dither": True} | settings
    graph["save"] = node("SEINESaveGIF", **inputs)
    (file,) = client.files(client.run(graph))
    return file, Image.open(io.BytesIO(client.fetch(file)))


def test_a_gif_has_all_frames_their_colours_and_the_clips_length(client):
    file, picture = saved(client)
    assert file.filename == "test_00001_.gif" and file.subfolder == "gifs"
    assert (picture.format, picture.size, picture.info["loop"]) == ("GIF", (48, 32), 0)
    shown, durations = [], []
    for index in range(picture.n_frames):
        picture.seek(index)
        durations.append(picture.info["duration"])
        shown.append(picture.convert("RGB").getpixel((20, 10)))
    # Equal frames are joined into a longer one; their time stays. 8 frames at 7 per second are 1.143 s.
    assert sum(durations) == 1140
    for pixel, color in ((shown[0], (0xE0, 0x20, 0x10)), (shown[-1], (0x10, 0x20, 0xE0))):
        assert all(abs(a - b) < 4 for a, b in zip(pixel, color, strict=True))


def still(client, color, batch_size):
    """A GIF of equal frames, each 10 seconds, and of one of another colour at its end: what it shows, and how long."""
    graph = {
        "still": node("EmptyImage", width=16, height=16, batch_size=batch_size, color=color),
        "last": node("EmptyImage", width=16, height=16, batch_size=1, color=0x1020E0),
        "clip": node("ImageBatch", image1=["still", 0], image2=["last", 0]),
        "save": node("SEINESaveGIF", images=["clip", 0], filename_prefix="gifs/still", fps=0.1, dither=True),
    }
    (file,) = client.files(client.run(graph))
    picture = Image.open(io.BytesIO(client.fetch(file)))
    shown = []
    for index in range(picture.n_frames):
        picture.seek(index)
        shown.append((picture.info["duration"], picture.convert("RGB").getcolors()))
    return shown


@pytest.mark.parametrize("color", [0, 0xE02010])
def test_what_stands_longer_than_a_frame_can_is_several_frames(client, color):
    """A GIF's frame stands 655.35 seconds at most."""
    *longer, last = still(client, color, 200)
    assert sum(length for length, _ in longer) == 2_000_000 and last[0] == 10_000
    assert len(longer) < 10 and max(length for length, _ in longer) <= 655_350
    for length, colours in (*longer, last):
        assert [count for count, _ in colours] == [16 * 16], (length, colours)
    assert {colours[0][1] for _, colours in longer} == {(color >> 16, color >> 8 & 255, color & 255)}


def test_names_are_counted_and_bad_rates_refused(client):
    first, _ = saved(client, filename_prefix="gifs/count", dither=False)
    second, _ = saved(client, filename_prefix="gifs/count", fps=12.0)
    assert (first.filename, second.filename) == ("count_00001_.gif", "count_00002_.gif")
