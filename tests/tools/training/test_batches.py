"""What a training step learns from: masks, noise, weights."""

import pytest
import torch

from tools.training.batches import (
    MASK_SHARES,
    NOISIEST,
    STARTING,
    Noising,
    Weighting,
    draw_masks,
    masked_latents,
    noised,
)

ABAR = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)


PLAIN = Noising()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def kind_of(mask):
    kept = (mask < 0.5).nonzero().flatten().tolist()
    frames = len(mask)
    if not kept:
        return "all"
    if kept == list(range(len(kept))):
        return "first"
    if kept == list(range(frames - len(kept), frames)):
        return "last"
    half = len(kept) // 2
    if len(kept) % 2 == 0 and kept == [*range(half), *range(frames - half, frames)]:
        return "onelast"
    return "random"


def test_masks_are_drawn_in_the_shares_asked_for():
    count = 4000
    masks = draw_masks(count, 16, generator())
    kinds = [kind_of(mask) for mask in masks]
    for kind, share in MASK_SHARES.items():
        # Random frames sometimes look like another kind: they may lose a quarter of their share.
        found = kinds.count(kind) / count
        assert 0.75 * share - 0.01 < found < 1.15 * share + 0.02, kind
    kept = (masks < 0.5).sum(1)
    assert kept.max() == 8 and kept.min() == 0
    assert {int(n) for n in kept[[kind == "first" for kind in kinds]]} == {1, 2, 3, 4}
    kinds = [kind_of(mask) for mask in draw_masks(count, 16, generator(), text_alone=0.6)]
    assert kinds.count("all") / count == pytest.approx(0.6, abs=0.03)
    assert kinds.count("first") / kinds.count("onelast") == pytest.approx(0.35 / 0.25, rel=0.2)


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_masks_of_short_clips_leave_something_to_learn(frames):
    masks = draw_masks(300, frames, generator())
    assert masks.shape == (300, frames)
    assert ((masks == 0) | (masks == 1)).all()
    assert (masks.sum(1) > 0).float().mean() > 0.2
    assert (masks.sum(1) < frames).float().mean() > 0.2


def test_nothing_is_given_of_a_single_frame():
    """It would only be copied, which whole clips teach as well."""
    assert torch.equal(draw_masks(100, 1, generator()), torch.ones(100, 1))


def test_masked_latents_keep_given_frames_and_gray_the_others():
    latents, gray = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 4, 2, 2)
    masked = masked_latents(latents, torch.tensor([[0.0, 1, 1], [1, 1, 0]]), gray)
    assert torch.equal(masked[0, :, 0], latents[0, :, 0])
    assert torch.equal(masked[0, :, 1], gray[0]) and torch.equal(masked[1, :, 0], gray[1])
    assert torch.equal(masked[1, :, 2], latents[1, :, 2])


def batch(latents, mask, noising=PLAIN, masked=None):
    masked = torch.zeros_like(latents) if masked is None else masked
    return noised(latents, masked, mask, torch.zeros(len(latents), 5, 8), generator(), noising)


def test_clips_are_noised_by_their_timesteps():
    latents, masked = (torch.randn(4, 4, 3, 8, 8, generator=generator(seed)) for seed in (5, 6))
    shown = batch(latents, torch.ones(4, 3), masked=masked)
    abar = ABAR[shown.timesteps].float().reshape(-1, 1, 1, 1, 1)
    torch.testing.assert_close(shown.sample[:, :4], abar.sqrt() * latents + (1 - abar).sqrt() * shown.target)
    assert shown.target.std() == pytest.approx(1, abs=0.03)
    assert torch.equal(shown.sample[:, 4], torch.ones(4, 3, 8, 8)) and torch.equal(shown.sample[:, 5:], masked)
    assert len(shown.timesteps.unique()) == 4 and torch.equal(shown.weights, torch.ones(4, 3))


def test_errors_count_by_their_timestep_and_more_in_given_frames():
    mask = torch.ones(4, 3)
    mask[:, 0] = 0
    shown = batch(torch.randn(4, 4, 3, 2, 2), mask, Noising(Weighting(signal_std=2.0, given=7.0)))
    weights = Weighting(signal_std=2.0).of(ABAR / (1 - ABAR))[shown.timesteps].float()
    torch.testing.assert_close(shown.weights, weights[:, None] * torch.tensor([7.0, 1, 1]))


def test_the_noisiest_timesteps_are_drawn_as_often_as_asked_and_the_start_hides_no_clip():
    latents = 1000 * torch.ones(400, 4, 2, 2, 2)
    shown = batch(latents, torch.ones(400, 2), Noising(noisiest=0.5))
    assert (shown.timesteps >= NOISIEST).float().mean() == pytest.approx(0.5 + 0.5 * 0.2, abs=0.01)
    starting = shown.timesteps >= STARTING
    assert starting.sum() == pytest.approx(200 * 25 / 200 + 200 * 25 / 1000, abs=2)
    noisy = shown.sample[:, :4]
    assert noisy[starting].abs().max() < 6 < noisy[~starting].amax((1, 2, 3, 4)).min()
    # Where the prediction leads is the clip nevertheless.
    abar = ABAR[shown.timesteps].float().reshape(-1, 1, 1, 1, 1)
    found = (noisy - (1 - abar).sqrt() * shown.target) / abar.sqrt()
    torch.testing.assert_close(found, latents, rtol=1e-3, atol=1.0)


def test_weights_follow_the_signal_to_noise_ratio():
    snr = torch.tensor([1e-4, 0.1, 1.0, 5.0, 50.0])
    weights = Weighting().of(snr)
    expected = torch.tensor([100.0, 11.0, 2.0, 1.2, 0.1 * 1.02])  # velocity's (1 + snr) / snr, and min-SNR's 5 / snr
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(Weighting(signal_std=2.0).of(snr / 4), expected)
