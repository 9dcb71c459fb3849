"""The README's demo command, end to end and small, in every host."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image

from tools import demo
from tools.hosting.server import REPOSITORY
from tools.training.small_model import measures

STEPS = 20


@pytest.fixture(scope="module")
def clips(host, tmp_path_factory):
    """The folder a run of the demo has filled, and what it printed as output and as progress."""
    folder = tmp_path_factory.mktemp(f"demo-{host.name}")
    command = [sys.executable, REPOSITORY / "tools" / "demo.py", "--host", host.name, "--device", "cpu"]
    command += ["--output", folder, "--steps", str(STEPS)]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ.copy(), timeout=600, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder, run.stdout, run.stderr


def pixels(picture: Image.Image) -> torch.Tensor:
    """[3, H, W], values 0..1."""
    import numpy

    return torch.from_numpy(numpy.array(picture.convert("RGB"))).permute(2, 0, 1) / 255


def test_demo_leaves_videos_and_stills(clips):
    folder, printed, bars = clips
    names = [
        f"{clip}{end}" for clip in demo.SMALL_MODEL_CLIPS for end in (".mp4", "_first.png", "_middle.png", "_last.png")
    ]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert all(name in printed for name in names)
    assert "small model" in printed
    assert f"{STEPS}/{STEPS}" in bars and "SEINEKSampler: 100%" in bars


def test_clips_do_what_their_prompts_say(clips):
    import av

    videos = {}
    for name in demo.SMALL_MODEL_CLIPS:
        with av.open(str(clips[0] / f"{name}.mp4")) as video:
            videos[name] = torch.stack([pixels(frame.to_image()) for frame in video.decode(video=0)])
        assert videos[name].shape == (16, 3, 256, 256)
    assert measures.motion(videos["image_to_video"], "red") == "right"
    ends = [measures.look_at(frame) for frame in videos["transition"][[0, -1]]]
    assert [(end.colour, end.shape) for end in ends] == [("yellow", "ring"), ("purple", "cross")]


def test_keyframes_are_where_they_belong(clips):
    ball, ring, cross = (
        pixels(Image.open(io.BytesIO(demo.picture_png(f"{name}.png"))).resize((256, 256), Image.Resampling.LANCZOS))
        for name in ("seine_red_ball", "seine_yellow_ring", "seine_purple_cross")
    )
    stills = {path.stem: pixels(Image.open(path)) for path in clips[0].glob("*.png")}
    assert measures.psnr(stills["image_to_video_first"], ball) > 22 > measures.psnr(stills["image_to_video_last"], ball)
    assert measures.psnr(stills["transition_first"], ring) > 22 > measures.psnr(stills["transition_last"], ring)
    assert measures.psnr(stills["transition_last"], cross) > 22 > measures.psnr(stills["transition_first"], cross)


def test_missing_checkpoint_is_refused_before_any_set_up(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["demo.py", "--checkpoint", "no-such-file.pt"])
    with pytest.raises(SystemExit):
        demo.parse_arguments()
    assert "no-such-file.pt" in capsys.readouterr().err
