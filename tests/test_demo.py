"""The README's demo command, end to end and small, in every host."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from tools import demo
from tools.server import REPOSITORY


@pytest.fixture(scope="module")
def clips(host, tmp_path_factory):
    """The folder a run of the demo has filled, and what it printed."""
    folder = tmp_path_factory.mktemp(f"demo-{host.name}")
    command = [sys.executable, REPOSITORY / "tools" / "demo.py", "--host", host.name, "--device", "cpu"]
    command += ["--output", folder, "--frames", "6", "--steps", "8", "--width", "96", "--height", "64"]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ.copy(), timeout=600, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder, run.stdout


def similarity(frame: Image.Image, photograph: str) -> float:
    """Correlation of a frame with a photograph fitted to its size, between -1 and 1."""
    import numpy as np

    original = Image.open(io.BytesIO(demo.photograph_png(photograph))).convert("RGB").resize(frame.size)
    return float(np.corrcoef(np.ravel(frame.convert("RGB")), np.ravel(original))[0, 1])


def test_demo_leaves_videos_and_stills(clips):
    folder, printed = clips
    names = [f"{clip}{end}" for clip in demo.CLIPS for end in (".mp4", "_first.png", "_middle.png", "_last.png")]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert all(name in printed for name in names)
    assert "made-up, untrained weights" in printed
    assert "SEINEKSampler: step 8/8" in printed


def test_demo_videos_have_all_frames_in_the_size_asked_for(clips):
    import av

    for name in demo.CLIPS:
        with av.open(str(clips[0] / f"{name}.mp4")) as video:
            frames = list(video.decode(video=0))
        assert len(frames) == 6
        assert (frames[0].width, frames[0].height) == (96, 64)


def test_keyframes_are_where_they_belong(clips):
    stills = {path.stem: Image.open(path) for path in clips[0].glob("*.png")}
    alike = {
        name: [similarity(still, photograph) for photograph in demo.CLIPS[name.rsplit("_", 1)[0]]]
        for name, still in stills.items()
    }
    # A small picture of few steps: about 0.4 to 0.8 for the frame's own photograph, up to 0.1 for a frame of none.
    (first,), (middle,), (last,) = (alike[f"image_to_video_{position}"] for position in ("first", "middle", "last"))
    assert first > 0.3 > 0.2 > max(middle, last)
    coffee, chelsea = alike["transition_first"]
    assert coffee > 0.4 and coffee > chelsea
    coffee, chelsea = alike["transition_last"]
    assert chelsea > 0.4 and chelsea > coffee
    assert max(alike["transition_middle"]) < 0.2


def test_missing_checkpoint_is_refused_before_any_set_up(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["demo.py", "--checkpoint", "no-such-file.pt"])
    with pytest.raises(SystemExit):
        demo.parse_arguments()
    assert "no-such-file.pt" in capsys.readouterr().err


def test_animated_webp_becomes_mp4_and_stills(tmp_path):
    colours = ["red", "lime", "blue"]
    content = io.BytesIO()
    first, *rest = [Image.new("RGB", (32, 16), colour) for colour in colours]
    first.save(content, "WEBP", save_all=True, append_images=rest, lossless=True, duration=125)
    made = demo.keep_clip(content.getvalue(), "clip.webp", tmp_path / "clip", rate=8)
    assert [path.name for path in made] == ["clip.mp4", "clip_first.png", "clip_middle.png", "clip_last.png"]
    for path, colour in zip(made[1:], colours, strict=True):
        assert Image.open(path).getpixel((5, 5)) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    assert made[0].stat().st_size > 0
