"""The small model in few steps: its file's parts, distilling it, and the measures that show what is lost."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tools.hosting import hosts
from tools.train import SMALL
from tools.training.small_model import few_steps, recipe
from tools.training.small_model.bundle import load_parts
from tools.training.small_model.text_encoder import Tokenizer
from tools.training.small_model.trial import trial

QUICK = {"steps": 1, "videos": 1, "frames": 2, "visited": (999, 400), "teacher_steps": 1, "rank": 2}


@pytest.fixture(scope="module")
def tokenizer_folder():
    return hosts.find("best").folder / "comfy" / "sd1_tokenizer"


@pytest.fixture(scope="module")
def parts():
    return load_parts(SMALL)


def test_the_parts_of_the_file_work_together(parts, tokenizer_folder):
    looked = trial(parts, Tokenizer(tokenizer_folder), 1)
    assert looked.latents.std() == pytest.approx(recipe.LATENT_DEVIATION, rel=0.4)
    clips = looked.autoencoder.decode(looked.latents[0].transpose(0, 1))
    found = looked.judged(clips[None], "transition")
    assert found["motion"] == found["look"] == 1 and min(found["first"], found["last"]) > 28
    with torch.inference_mode():
        other = parts.reader.encoder(Tokenizer(tokenizer_folder)(["a blue ring over pink tiles"])).last_hidden_state
    assert (other - looked.contexts).abs().max() > 1


def test_steps_share_the_teachers():
    assert few_steps.options_for(4).visited == (999, 749, 499, 249) and few_steps.options_for(4).teacher_steps == 2
    assert few_steps.options_for(2).teacher_steps == 4


def test_from_the_bundle_to_a_lora_and_its_measures(parts, tokenizer_folder, tmp_path, monkeypatch):
    for name in ("CLIPS", "WAYS", "WAYS_AT_ONCE"):
        monkeypatch.setattr(few_steps, name, 2)
    target = tmp_path / "lora.safetensors"
    distiller = few_steps.distil(SMALL, tokenizer_folder, tmp_path, target, "cpu", replace(few_steps.OPTIONS, **QUICK))
    assert len(load_file(target)) == 2 * 220
    assert (tmp_path / "2-steps.png").exists() and distiller.step == 1
    rows = list(few_steps.compared(distiller, SMALL, tokenizer_folder, 1, ["image to video"]))
    guided, twice, alone, student, _, _ = (found for _, _, found in rows)
    assert [name for name, _, _ in rows[2:]] == [
        *("before, 2 steps, cfg 1", "distilled, 2 steps, cfg 1"),
        *("before, 1 steps, cfg 1", "distilled, 1 steps, cfg 1"),
    ]
    assert "same" not in guided and twice["same"] == 100, "one step of the teacher's for each of the student's"
    assert student["same"] != alone["same"] and min(student["first"], alone["first"]) > 15

    clips = few_steps.encoded_clips(parts, Tokenizer(tokenizer_folder), tmp_path / "clips.safetensors")
    clips.empty_context += 1
    clips.save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other.safetensors is of another model: delete it"):
        few_steps.encoded_clips(parts, Tokenizer(tokenizer_folder), tmp_path / "other.safetensors")
