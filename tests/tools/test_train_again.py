"""The training command, given again: the same goes on, and what is another training is not taken for it."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from seine_model import load_unet
from seine_model.checkpoint import UNET_PREFIX, VAE_PREFIX
from tests.tools.test_train import arguments, write_video
from tools.training import distilling, finetuning
from tools.training.latent_clips import LatentClips
from tools.training.made_from import BLOCK, BLOCKS, digest

pytestmark = pytest.mark.one_host  # it is all ours


@pytest.fixture(scope="module")
def encoded(host, forks_of, sample_model, tmp_path_factory):
    """A folder with clips, and what they are encoded to."""
    place = tmp_path_factory.mktemp("again")
    for name in ("a", "b"):
        (place / "clips").mkdir(exist_ok=True)
        write_video(place / "clips" / f"{name}.mp4", 4, 60)
        (place / "clips" / f"{name}.txt").write_text(f"clip {name}", encoding="utf-8")
    run = forks_of(host).run
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finetuning, "run_in_host", lambda host, base, script, keywords, timeout: run(script, keywords))
        finetuning.encode(host, arguments(sample_model, place / "clips", place), place / "clips.safetensors")
    return place


@pytest.fixture
def place(encoded, tmp_path):
    shutil.copytree(encoded, tmp_path, dirs_exist_ok=True)
    return tmp_path


def louder(model, target, prefix):
    """The model with some of its weights half as large again."""
    with safe_open(model, "pt") as file:
        metadata = file.metadata()
    weights = {key: value * 1.5 if key.startswith(prefix) else value for key, value in load_file(model).items()}
    save_file(weights, target, metadata)
    return target


def test_clips_encoded_otherwise_are_refused(sample_model, place, capsys):
    clips, target = place / "clips", place / "clips.safetensors"

    def again(model=sample_model, **changes):
        finetuning.encode(None, arguments(model, clips, place, **changes), target)

    again()
    again(seed=5, learning_rate=1.0, steps=9)
    # The same content elsewhere and later; and another UNet, which encodes nothing.
    for file in sorted(clips.iterdir()):
        file.touch()
    again(louder(sample_model, place / "unet.safetensors", UNET_PREFIX))
    assert capsys.readouterr().out.count("using the clips encoded before") == 3
    for changes, what in (
        ({"width": 72}, "width 64 and not 72"),
        ({"height": 64, "frames": 2}, "frames 4 and not 2, height 48 and not 64"),
        ({"every": 2}, "every 1 and not 2"),
        ({"model": louder(sample_model, place / "vae.safetensors", VAE_PREFIX)}, "another VAE and text encoder"),
        ({"base": place / "vae.safetensors"}, "another VAE and text encoder"),
    ):
        with pytest.raises(ValueError, match=f"clips.safetensors is of another data set: {what}: choose .*--folder"):
            again(**changes)
    (clips / "a.txt").write_text("another caption", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other clips \(a.mp4\)"):
        again()
    write_video(clips / "c.mp4", 4, 90)
    write_video(clips / "b.mp4", 4, 90)
    with pytest.raises(ValueError, match=r"other clips \(a.mp4, b.mp4, c.mp4\)"):
        again()


def test_clips_of_an_earlier_version_are_used_where_their_size_is_right(sample_model, place, capsys):
    target = place / "clips.safetensors"
    save_file(load_file(target), target)
    finetuning.encode(None, arguments(sample_model, place / "clips", place), target)
    assert "taken to be as given now: VAE and text encoder, clips, every" in capsys.readouterr().out
    with pytest.raises(ValueError, match="width 64 and not 512"):
        finetuning.encode(None, arguments(sample_model, place / "clips", place, width=512), target)


@pytest.mark.parametrize("distilled", [False, True])
def test_another_training_in_the_same_folder_is_refused(sample_model, place, capsys, distilled):
    few = {"few_steps": 2, "teacher_steps": 1, "cfg": 3.0, "rank": 2, "to_clip": 0} if distilled else {}
    train = distilling.distil if distilled else finetuning.train

    def trained(model=sample_model, **changes):
        chosen = arguments(model, place / "clips", place, **({"steps": 1, "videos": 1} | few | changes))
        train(chosen, place, "cpu")
        return chosen.output

    written = trained().read_bytes()
    other = louder(sample_model, place / "unet.safetensors", UNET_PREFIX)
    assert not torch.equal(load_unet(other).conv_in.weight, load_unet(sample_model).conv_in.weight)
    for changes, what in (({"model": other}, "another checkpoint"), ({"seed": 5}, "seed 0 and not 5")):
        with pytest.raises(ValueError, match=f"is of another (training|distillation): {what}: delete it, .*--folder"):
            trained(**changes)
        assert (place / "tuned.safetensors").read_bytes() == written
    if distilled:  # refused before hours of its teacher's work
        with pytest.raises(ValueError, match="to_clip False and not True"):
            trained(to_clip=2)
        assert not (place / "ways").exists()
    capsys.readouterr()
    assert trained(learning_rate=1.0).read_bytes() == written
    assert "all 1 steps were done before" in capsys.readouterr().out
    assert trained(learning_rate=1.0, videos=2, full_precision=True, steps=2).read_bytes() != written
    assert "going on from step 1" in capsys.readouterr().out

    clips = LatentClips.load(place / "clips.safetensors")
    clips.made_from = json.loads(json.dumps(clips.made_from)) | {"clips": {}}
    clips.save(place / "clips.safetensors")
    with pytest.raises(ValueError, match=r"other clips \(a.mp4, b.mp4\)"):
        trained(steps=3)


def test_a_clip_that_cannot_be_read_is_named(sample_model, place):
    (place / "clips" / "wave.mp4").symlink_to("nowhere")
    chosen = arguments(sample_model, place / "clips", place)
    with pytest.raises(ValueError, match=r"--clips: wave.mp4, or its caption, cannot be read \(No such file"):
        finetuning.encode(None, chosen, place / "clips.safetensors")


def test_a_digest_tells_files_apart_by_their_beginning_middle_and_end(tmp_path):
    size = 3 * BLOCK * BLOCKS // 2
    found = set()
    for place, length in ((0, 0), (0, 1), (size // 2, 2 * BLOCK), (size - 1, 1)):
        with open(tmp_path / "video", "wb") as file:
            file.truncate(size)
            file.seek(place)
            file.write(b"x" * length)
        found.add(digest(tmp_path / "video"))
    assert len(found) == 4
    (tmp_path / "short").write_bytes(b"abc")
    assert len({digest(tmp_path / "short"), digest(tmp_path / "short", b"abc"), *found}) == 6
    (tmp_path / "none").touch()
    digest(tmp_path / "none")
