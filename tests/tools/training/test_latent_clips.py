"""The data set of encoded clips."""

from dataclasses import replace

import pytest
import torch

from tools.training.latent_clips import LatentClips


def numbered():
    """Clip c, frame f is all 10 c + f; its context is all c."""
    numbers = 10 * torch.arange(3)[:, None] + torch.arange(5)
    return LatentClips(
        latents=numbers[:, :, None, None, None].expand(-1, -1, 4, 2, 2).half(),
        contexts=torch.arange(3)[:, None, None].expand(-1, 7, 6).half(),
        gray=torch.zeros(1, 4, 2, 2),
        empty_context=torch.zeros(7, 6),
    )


def test_batches_are_runs_of_neighbouring_frames_with_their_own_context():
    seen = set()
    rng = torch.Generator().manual_seed(0)
    for _ in range(30):
        latents, contexts = numbered().batch(2, 3, rng)
        assert latents.shape == (2, 4, 3, 2, 2) and latents.dtype == torch.float32
        for video, context in zip(latents, contexts, strict=True):
            numbers = video[0, :, 0, 0].tolist()
            assert numbers == [numbers[0] + i for i in range(3)]
            assert numbers[0] // 10 == context[0, 0]
            assert (video == video[:1, :, :1, :1]).all()
            seen.add(numbers[0])
    assert seen == {10 * clip + start for clip in range(3) for start in range(3)}


def test_too_many_frames_are_refused():
    with pytest.raises(ValueError, match="6 frames.* have 5"):
        numbered().batch(1, 6, torch.Generator())


def test_saved_and_loaded_again(tmp_path):
    file, whole = tmp_path / "clips.safetensors", numbered()
    tensors = {name: value for name, value in vars(whole).items() if name != "made_from"}
    whole.save(file)
    loaded = LatentClips.load(file)
    assert all(torch.equal(getattr(loaded, name), value) for name, value in tensors.items())
    _, frames, _, height, width = whole.latents.shape
    assert loaded.made_from == {"frames": frames, "width": 8 * width, "height": 8 * height}, "it does not say more"
    known = {"clips": {"wave.mp4": "digest"}, "every": 2}
    replace(whole, made_from=known).save(file)
    assert LatentClips.load(file).to("cpu").made_from == known
