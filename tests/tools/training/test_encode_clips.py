"""Reading a folder of clips for training: as they are shown, a little at a time, and what is refused by its name."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.videos import made, turned

pytestmark = pytest.mark.one_host  # it is all ours
LONG = 41


def captioned(folder: Path, name: str, caption: bytes = b"a clip") -> Path:
    """Where a video of this name goes, which has its caption beside it."""
    folder.mkdir(exist_ok=True)
    (folder / name).with_suffix(".txt").write_bytes(caption)
    return folder / name


def sound(file: Path) -> None:
    with av.open(str(file), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        heard.sample_rate, heard.pts = 8000, 0
        output.mux([*stream.encode(heard), *stream.encode()])


def damaged(file: Path) -> None:
    """A video whose later packets are no packets: it opens, and its first frames can be decoded."""
    with av.open(made(file, 20)) as container:
        later = [each.pos for each in container.demux(video=0) if each.pos][8:]
    content = bytearray(file.read_bytes())
    for position in later:
        content[position : position + 12] = b"\xff" * 12
    file.write_bytes(content)


@pytest.fixture(scope="module")
def report(run_in_host, sample_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("clips")
    made(captioned(place / "long", "long.mp4", "\ufeffa clip".encode()), LONG, width=96, height=64)
    made(captioned(place / "latin", "latin.mp4", "eine Brücke".encode("latin-1")), 4)
    sound(captioned(place / "sound", "sound.mp4"))
    captioned(place / "text", "text.mp4").write_text("no video")
    damaged(captioned(place / "damaged", "damaged.mp4"))
    drawn = place / "drawn.gif"
    pictures = [Image.fromarray(np.full((30, 50, 3), 40 * each, np.uint8)) for each in range(1, 5)]
    pictures[0].save(drawn, save_all=True, append_images=pictures[1:])
    return run_in_host(
        "clips.py",
        checkpoint=str(sample_model),
        long=str(place / "long"),
        turned=turned(made(place / "turned.mp4", 20)),
        drawn=str(drawn),
        refused=[str(place / name) for name in ("latin", "sound", "text", "damaged")],
        folder=str(place),
    )


def test_a_turned_video_is_learned_as_it_is_shown(report):
    shape, windows, difference = report["turned"]
    assert shape == [20, 64, 48, 3] and windows == 5
    assert difference < 0.01
    windows, difference = report["every other"]
    assert windows == 2 and difference < 0.01, "of ten frames two windows of four"


def test_a_gif_is_read(report):
    shape, deviation = report["drawn"]
    assert shape == [4, 64, 48, 3] and deviation > 0.1


def test_no_more_than_a_window_of_a_video_is_held(report):
    """Of its frames in full size one and the next, and while a window is filled the one before."""
    assert report["encoded"] == {"clips": LONG // 4, "videos": 1} and report["latents"] == [LONG // 4, 4, 4, 8, 6]
    assert report["made"] == [LONG, LONG, LONG // 4]
    assert all(most <= 2 for most in report["most"]), report["most"]


def test_a_byte_order_mark_is_no_part_of_a_caption(report):
    assert report["captions"] == ["a clip"]


def test_what_cannot_be_read_is_named(report):
    latin, no_picture, text, broken = report["refused"]
    assert latin.startswith("--clips: latin.txt cannot be read as text") and latin.endswith("save it as UTF-8")
    assert no_picture == "--clips: sound.mp4 has no picture that can be read: take it out of the folder"
    for message, name in ((text, "text.mp4"), (broken, "damaged.mp4")):
        assert message.startswith(f"--clips: {name} cannot be read (") and message.endswith("MP4 (H.264)")
