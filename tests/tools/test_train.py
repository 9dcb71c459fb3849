"""The training command: what it refuses, and fine-tuning from a folder of clips to a checkpoint that loads."""

import argparse
import json
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from seine_model import SeineUNet3D, load_unet
from tools import train
from tools.hosting.sample_bundle import SMALL
from tools.training import distilling, finetuning
from tools.training.latent_clips import LatentClips


def refusal(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
    with pytest.raises(SystemExit):
        train.parse_arguments()
    return capsys.readouterr().err


def test_unusable_arguments_are_refused_before_any_set_up(monkeypatch, capsys, tmp_path):
    here = ["finetune", "--checkpoint", tmp_path, "--clips", tmp_path, "--output", tmp_path / "a.safetensors"]
    assert "no-such-file" in refusal(monkeypatch, capsys, *here[:2], "no-such-file", *here[3:])
    (tmp_path / "wave.mp4").touch()
    assert "wave.mp4 is no folder" in refusal(monkeypatch, capsys, *here, "--clips", tmp_path / "wave.mp4")
    assert "multiple of 8" in refusal(monkeypatch, capsys, *here, "--width", "100")
    assert "at least 1" in refusal(monkeypatch, capsys, *here, "--frames", "0")
    assert "--few-steps is 0" in refusal(monkeypatch, capsys, "distill", *here[1:], "--few-steps", "0")
    assert "--rank is -1: it must be at least 0" in refusal(monkeypatch, capsys, "distill", *here[1:], "--rank", "-1")
    assert "no-such-file" in refusal(monkeypatch, capsys, "distill-small", "--bundle", "no-such-file")
    assert ".safetensors" in refusal(monkeypatch, capsys, *here[:-1], tmp_path / "a.pt")


def write_video(file, frames, brightness, width=64, height=48):
    import av
    import numpy as np

    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = np.full((height, width, 3), brightness + 4 * index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def folder(tmp_path):
    """Two captioned videos; the longer one holds two clips of 4 frames."""
    clips = tmp_path / "clips"
    clips.mkdir()
    for name, frames, brightness in (("short", 5, 30), ("long", 9, 200)):
        write_video(clips / f"{name}.mp4", frames, brightness)
        (clips / f"{name}.txt").write_text(f"a {name} clip\n", encoding="utf-8")
    return clips


def arguments(model, clips, tmp_path, **changes):
    values = {
        "checkpoint": model,
        "base": None,
        "clips": clips,
        "output": tmp_path / "tuned.safetensors",
        "frames": 4,
        "every": 1,
        "width": 64,
        "height": 48,
        "steps": 2,
        "videos": 2,
        "learning_rate": 1e-3,
        "gradient_checkpointing": True,
        "full_precision": False,
        "seed": 0,
    }
    return argparse.Namespace(**values | changes)


@pytest.mark.one_host
def test_finetuning_from_videos_to_a_checkpoint(host, sample_model, folder, tmp_path):
    chosen = arguments(sample_model, folder, tmp_path)
    encoded = tmp_path / "clips.safetensors"
    finetuning.encode(host, chosen, encoded)
    clips = LatentClips.load(encoded)
    assert clips.latents.shape == (3, 4, 4, 6, 8)
    assert clips.contexts.shape == (3, 77, 64) and not torch.equal(clips.contexts[0], clips.contexts[2])
    # In alphabetical order: the made-up VAE's latents are brightness, and each frame is a little brighter.
    brightness = clips.latents[:, :, 3].float().mean((-1, -2))
    assert brightness[:2].min() > brightness[2].max()
    assert torch.cat((brightness[0], brightness[1])).diff().min() > 0
    assert clips.gray.abs().max() < brightness.abs().max()

    finetuning.train(chosen, tmp_path, "cpu")
    tuned, original = load_unet(chosen.output), load_unet(sample_model)
    assert tuned.config == original.config
    assert not torch.equal(tuned.conv_in.weight, original.conv_in.weight)
    torch.testing.assert_close(tuned.conv_in.weight, original.conv_in.weight, rtol=0.2, atol=0.01)
    assert (tmp_path / "losses.png").exists()

    # Asked for more steps, it goes on instead of beginning again.
    finetuning.train(arguments(sample_model, folder, tmp_path, steps=3), tmp_path, "cpu")
    assert len(torch.load(tmp_path / "training.pt", weights_only=True)["losses"]) == 3

    distil(sample_model, folder, tmp_path, original)


def distil(model, folder, tmp_path, original):
    """On the same clips: a LoRA, and all weights."""
    few = {"few_steps": 2, "teacher_steps": 2, "cfg": 3.0, "rank": 2, "to_clip": 0}
    few["output"] = tmp_path / "lora.safetensors"
    distilling.distil(arguments(model, folder, tmp_path, steps=1, **few), tmp_path, "cpu")
    distilling.distil(arguments(model, folder, tmp_path, steps=2, **few), tmp_path, "cpu")
    assert len(torch.load(tmp_path / "distillation.pt", weights_only=True)["errors"]) == 2
    assert (tmp_path / "errors.png").exists()
    lora, layers = (
        load_file(few["output"]),
        [each for each in original.modules() if isinstance(each, nn.Linear | nn.Conv2d)],
    )
    assert len(lora) == 2 * len(layers) and {value.dtype for value in lora.values()} == {torch.float16}
    assert any(value.any() for key, value in lora.items() if "lora_up" in key)

    for ways in (0, 3):
        (tmp_path / "distillation.pt").unlink()
        whole = few | {"rank": 0, "to_clip": ways, "output": tmp_path / f"whole-{ways}.safetensors"}
        distilling.distil(arguments(model, folder, tmp_path, steps=1, **whole), tmp_path, "cpu")
        trained = load_unet(whole["output"])
        assert trained.config == original.config
        assert not torch.equal(trained.conv_in.weight, original.conv_in.weight)
    assert len(list((tmp_path / "ways").iterdir())) == 2, "two clips at once"


@pytest.mark.one_host
def test_clips_that_cannot_be_used_are_named(host, forks_of, sample_model, folder, tmp_path, monkeypatch):
    run = forks_of(host).run  # the other test has a process of the host's own
    monkeypatch.setattr(finetuning, "run_in_host", lambda host, base, script, keywords, timeout: run(script, keywords))
    with pytest.raises(ValueError, match="short.mp4 is shorter than 8 frames"):
        finetuning.encode(host, arguments(sample_model, folder, tmp_path, frames=8), tmp_path / "a")
    (folder / "short.txt").unlink()
    with pytest.raises(ValueError, match="short.mp4 without a caption.*short.txt"):
        finetuning.encode(host, arguments(sample_model, folder, tmp_path), tmp_path / "b")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="has no video"):
        finetuning.encode(host, arguments(sample_model, empty, tmp_path), tmp_path / "c")


def test_a_checkpoint_that_reads_no_frames_is_refused(tmp_path):
    for channels in (4, 9):
        config = replace(SMALL, in_channels=channels)
        shapes = SeineUNet3D(config, device="meta").state_dict()
        weights = {key: torch.zeros(value.shape) for key, value in shapes.items()}
        save_file(weights, tmp_path / f"{channels}.safetensors", {"seine_config": json.dumps(config.to_dict())})
    finetuning.check_trainable(tmp_path / "9.safetensors")
    with pytest.raises(ValueError, match=r"--checkpoint 4\.safetensors: it makes clips from a prompt alone"):
        finetuning.check_trainable(tmp_path / "4.safetensors")
