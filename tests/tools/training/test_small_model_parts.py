"""The small model's three parts and the recipe that makes them, at a size that takes seconds."""

import dataclasses
import json
import shutil

import pytest
import torch
from safetensors import safe_open

from seine_model import load_unet
from seine_model.checkpoint import GRAY_LATENT_KEY, LATENT_RGB_KEY, read_checkpoint
from tools.hosting import hosts
from tools.training.latent_clips import LatentClips
from tools.training.small_model import autoencoder as vae
from tools.training.small_model import fitting, pictures, recipe
from tools.training.small_model import text_encoder as text
from tools.training.trainer import Phase


@pytest.fixture(scope="module")
def tokenizer():
    return text.Tokenizer(hosts.find("best").folder / "comfy" / "sd1_tokenizer")


def test_crops_are_endless_and_repeatable():
    first = pictures.crops(1, 8, 32, 48)
    assert first.shape == (8, 3, 32, 32) and 0 <= first.min() < first.max() <= 1
    assert torch.equal(first, pictures.crops(1, 8, 32, 48)) and not torch.equal(first, pictures.crops(2, 8, 32, 48))


def test_dead_leaves_have_flat_areas_and_edges():
    picture = pictures.dead_leaves(64, torch.Generator().manual_seed(0))
    steps = picture.diff(dim=-1).abs().amax(0)
    assert (steps < 0.02).float().mean() > 0.6 and (steps > 0.1).float().mean() > 0.02


def test_zeros_around_the_trained_channels_change_nothing():
    torch.manual_seed(0)
    narrow, full = vae.Autoencoder(), vae.Autoencoder((vae.WIDTH,) * 4)
    weights = vae.stored_weights(narrow)
    assert float(weights.pop("vae_scale")) == pytest.approx(vae.LATENT_SCALE)
    full.load_state_dict(weights)
    image = torch.rand(1, 3, 32, 48)
    latents = narrow.encode(image)
    assert latents.shape == (1, 4, 4, 6)
    torch.testing.assert_close(full.encode(image), latents, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(full.decode(latents), narrow.decode(latents), rtol=1e-4, atol=1e-5)


def test_captions_and_labels_agree():
    captions, labels = text.captions_and_labels(0, 300)
    assert {len(values) for values in labels.values()} == {300}
    for index, caption in enumerate(captions):
        for name in ("colour", "shape", "ground_colour", "ground"):
            values = (*text.PROPERTIES[name], text.NOTHING)
            value = values[labels[name][index]]
            assert value == text.NOTHING or value in caption, (caption, name, value)
        if not caption:
            assert all(labels[name][index] == len(text.PROPERTIES[name]) for name in labels)
    assert "" in captions


@pytest.mark.host
def test_captions_of_the_world_fit_the_encoder(tokenizer):
    captions, _ = text.captions_and_labels(1, 300)
    tokens = tokenizer(captions)
    assert tokens.shape == (300, text.TOKENS)
    assert (tokens[:, -1] == text.VOCABULARY - 1).all()
    assert len({tuple(row.tolist()) for row in tokens}) == len(set(captions))


@pytest.mark.host
def test_tokens_are_padded_with_end_of_text_and_cut(tokenizer):
    short, long = tokenizer(["a red ball", "ball " * 100])
    assert short.shape == long.shape == (text.TOKENS,)
    assert short[0] == long[0] == text.VOCABULARY - 2
    assert (short[4:] == text.VOCABULARY - 1).all()


def test_fitting_resumes_where_it_was(tmp_path):
    def run(state, stop=None):
        torch.manual_seed(0)
        line = torch.nn.Linear(1, 1)

        def loss(step):
            if step == stop:
                raise KeyboardInterrupt
            x = torch.linspace(-1, 1, 8).reshape(-1, 1) + step / 100
            return (line(x) - 3 * x).square().mean()

        return fitting.fit("line", line, loss, fitting.Fit(600, 0.05, 10), state)

    whole = run(tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts.pt", stop=400)
    assert run(tmp_path / "parts.pt") == whole
    assert whole[-1] < 1e-3 < whole[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory, tokenizer):
    """The whole recipe with a few steps of everything: the folder and the bundle."""
    folder = tmp_path_factory.mktemp("small")
    plans = {
        "VAE_FITS": {whole: dataclasses.replace(plan, steps=2) for whole, plan in recipe.VAE_FITS.items()},
        "VAE_BATCH": 4,
        "TEXT_FIT": dataclasses.replace(recipe.TEXT_FIT, steps=3),
        "CLIPS": 3,
        "UNET": dataclasses.replace(recipe.UNET, phases=(Phase(2, 2, 1), Phase(2, 2, 16))),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in plans.items():
            patch.setattr(recipe, name, value)
        for name in ("model", "again"):
            recipe.make(folder, tokenizer_folder(), folder / f"{name}.safetensors")
        yield folder


def tokenizer_folder():
    return hosts.find("best").folder / "comfy" / "sd1_tokenizer"


@pytest.mark.host
def test_clips_and_states_of_another_vae_are_refused(made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "clips.safetensors"
    clips = LatentClips.load(file)
    dataclasses.replace(clips, gray=clips.gray + 1).save(file)
    with pytest.raises(ValueError, match=r"clips.safetensors is of another model: delete it"):
        recipe.make(tmp_path, tokenizer_folder(), tmp_path / "model.safetensors")
    dataclasses.replace(clips, made_from={"VAE and text encoder": "others"}).save(file)
    with pytest.raises(ValueError, match=r"unet.pt is of another training: another VAE and text encoder: delete it"):
        recipe.make(tmp_path, tokenizer_folder(), tmp_path / "model.safetensors")


@pytest.mark.host
def test_complete_stages_are_not_repeated(made):
    (first, metadata), (again, again_metadata) = (
        read_checkpoint(made / f"{name}.safetensors") for name in ("model", "again")
    )
    # The preview's colours are a least squares fit, whose last digit is the solver's own.
    colours, again_colours = (json.loads(read.pop(LATENT_RGB_KEY)) for read in (metadata, again_metadata))
    torch.testing.assert_close(torch.tensor(colours), torch.tensor(again_colours), atol=1e-3, rtol=0)
    assert metadata == again_metadata and first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.host
def test_recipe_leaves_a_small_bundle_curves_and_strips(made):
    bundle = made / "model.safetensors"
    assert bundle.stat().st_size < 16e6
    assert (made / "losses.png").stat().st_size > 1000
    assert (made / "strip-00004.png").exists()
    with safe_open(bundle, "pt") as file:
        metadata = file.metadata()
    assert len(json.loads(metadata[GRAY_LATENT_KEY])) == 4
    tensors, _ = read_checkpoint(bundle)
    kinds = {tensors[key].dtype for key in tensors if not key.endswith("rotary_emb.freqs")}
    assert kinds == {torch.float16}
    assert load_unet(bundle).config == recipe.CONFIG


@pytest.mark.host
def test_the_unet_sees_latents_of_the_deviation_asked_for(made):
    clips = LatentClips.load(made / "clips.safetensors")
    assert clips.latents.shape == (3, 16, 4, 8, 8)
    assert 0.7 < clips.latents.float().std() / recipe.LATENT_DEVIATION < 1.4
    encoded, everywhere = clips.gray
    assert torch.equal(everywhere, everywhere[:, :1, :1].expand_as(everywhere))
    assert torch.equal(encoded[:, 4, 4], everywhere[:, 0, 0])
