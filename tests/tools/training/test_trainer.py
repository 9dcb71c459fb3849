"""Training: masks, loss, schedule, EMA, resuming, and that a network learns."""

import math

import pytest
import torch

from seine_model import SeineConfig, SeineUNet3D, load_unet
from tools.training.initialisation import initialise
from tools.training.latent_clips import LatentClips
from tools.training.trainer import (
    MASK_SHARES,
    Phase,
    Trainer,
    TrainingOptions,
    Weighting,
    draw_mask,
    masked_latents,
    noise_prediction_loss,
    recompute_activations,
)

CONFIG = SeineConfig(
    block_out_channels=(32, 32, 32, 32),
    layers_per_block=1,
    attention_head_dim=1,
    cross_attention_dim=8,
    norm_num_groups=8,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clips(count=3, frames=4):
    return LatentClips(
        latents=torch.randn(count, frames, 4, 8, 8, generator=generator(1)),
        contexts=torch.randn(count, 5, 8, generator=generator(2)),
        gray=torch.randn(2, 4, 8, 8, generator=generator(3)),
        empty_context=torch.zeros(5, 8),
    )


def network(seed=0):
    unet = SeineUNet3D(CONFIG)
    initialise(unet, seed)
    return unet


def options(**changes):
    values = {"phases": (Phase(2, 2, 1), Phase(4, 2, 4)), "learning_rate": 2e-3, "warmup": 2, "mixed_precision": False}
    return TrainingOptions(**values | changes)


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
    rng = generator()
    count = 4000
    kinds = [kind_of(draw_mask(16, rng)) for _ in range(count)]
    for kind, share in MASK_SHARES.items():
        # Random frames sometimes look like another kind: they may lose a quarter of their share.
        found = kinds.count(kind) / count
        assert 0.75 * share - 0.01 < found < 1.15 * share + 0.02, kind
    kept = [int((draw_mask(16, rng) < 0.5).sum()) for _ in range(500)]
    assert max(kept) == 8 and min(kept) == 0


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_masks_of_short_clips_leave_something_to_learn(frames):
    rng = generator()
    masks = torch.stack([draw_mask(frames, rng) for _ in range(300)])
    assert masks.shape == (300, frames)
    assert ((masks == 0) | (masks == 1)).all()
    assert (masks.sum(1) > 0).float().mean() > 0.2
    assert (masks.sum(1) < frames).float().mean() > 0.2


def test_nothing_is_given_of_a_single_frame():
    """It would only be copied, which whole clips teach as well."""
    rng = generator()
    assert all(draw_mask(1, rng).tolist() == [1.0] for _ in range(100))


def test_masked_latents_keep_given_frames_and_gray_the_others():
    latents, gray = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 4, 2, 2)
    masked = masked_latents(latents, torch.tensor([[0.0, 1, 1], [1, 1, 0]]), gray)
    assert torch.equal(masked[0, :, 0], latents[0, :, 0])
    assert torch.equal(masked[0, :, 1], gray[0]) and torch.equal(masked[1, :, 0], gray[1])
    assert torch.equal(masked[1, :, 2], latents[1, :, 2])


def test_loss_is_zero_for_the_true_noise_and_one_for_none():
    latents = torch.randn(4, 4, 3, 8, 8, generator=generator(5))
    mask = torch.ones(4, 3)
    masked = torch.randn(4, 4, 3, 8, 8, generator=generator(6))
    seen = []

    class Oracle(torch.nn.Module):
        def forward(self, sample, timesteps, context):
            seen.append((sample, timesteps))
            abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[timesteps]
            abar = abar.float().reshape(-1, 1, 1, 1, 1)
            return (sample[:, :4] - abar.sqrt() * latents) / (1 - abar).sqrt()

    class Nothing(torch.nn.Module):
        def forward(self, sample, timesteps, context):
            return torch.zeros_like(sample[:, :4])

    assert noise_prediction_loss(Oracle(), latents, masked, mask, None, generator()) < 1e-6
    assert 0.9 < noise_prediction_loss(Nothing(), latents, masked, mask, None, generator()) < 1.1
    # Every error is 1 here, so that what is left of it is the mean weight.
    abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    weights = Weighting(signal_std=2.0).of(abar / (1 - abar))[seen[0][1]]
    weighted = noise_prediction_loss(Nothing(), latents, masked, mask, None, generator(), Weighting(signal_std=2.0))
    assert weighted == pytest.approx(float(weights.mean()), rel=0.15)

    mask[:, 0] = 0
    given = Weighting(signal_std=2.0, given=7.0)
    assert noise_prediction_loss(Nothing(), latents, masked, mask, None, generator(), given) == pytest.approx(
        float(weighted) * (7 + 1 + 1) / 3, rel=0.15
    )

    sample, timesteps = seen[0]
    assert torch.equal(sample[:, 4], torch.ones(4, 3, 8, 8)) and torch.equal(sample[:, 5:], masked)
    assert len(timesteps.unique()) == 4


def test_weights_follow_the_signal_to_noise_ratio():
    snr = torch.tensor([1e-4, 0.1, 1.0, 5.0, 50.0])
    weights = Weighting().of(snr)
    expected = torch.tensor([100.0, 11.0, 2.0, 1.2, 0.1 * 1.02])  # velocity's (1 + snr) / snr, and min-SNR's 5 / snr
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(Weighting(signal_std=2.0).of(snr / 4), expected)


def test_learning_rate_warms_up_and_decays():
    plan = options(learning_rate=1.0, warmup=2, phases=(Phase(100, 1, 1),), final_learning_rate=0.1)
    rates = [plan.learning_rate_at(step) for step in range(101)]
    assert rates[0] == 0.5 and max(rates) == rates[1] > 0.99
    assert rates[100] == pytest.approx(0.1) and rates[50] == pytest.approx(0.55)


def test_phases_follow_each_other():
    plan = options()
    assert [plan.phase(step).frames for step in range(6)] == [1, 1, 4, 4, 4, 4]
    assert plan.steps == 6


@pytest.mark.parametrize("muon", [False, True])
def test_same_seed_same_training_and_resuming_changes_nothing(tmp_path, muon):
    whole = Trainer(network(), clips(), options(muon=muon))
    losses = list(whole.run())
    assert len(losses) == 6 == whole.step

    first = Trainer(network(), clips(), options(muon=muon))
    for _ in range(3):
        first.advance()
    first.save(tmp_path / "state.pt")
    second = Trainer(network(seed=9), clips(), options(muon=muon))
    second.resume(tmp_path / "state.pt")
    assert second.losses == losses[:3]
    assert list(second.run()) == losses[3:]
    for name, value in whole.ema.items():
        assert torch.equal(value, second.ema[name]), name
    other = Trainer(network(), clips(), options(seed=1, muon=muon))
    assert other.advance() != losses[0]


def test_a_saved_state_loads_as_a_checkpoint_of_the_averaged_weights(tmp_path):
    trainer = Trainer(network(), clips(), options())
    list(trainer.run())
    trainer.save(tmp_path / "state.pt")
    unet = load_unet(tmp_path / "state.pt", CONFIG)
    weights = dict(unet.named_parameters())
    assert torch.equal(weights["conv_in.weight"], trainer.ema["conv_in.weight"])
    assert not torch.equal(weights["conv_in.weight"], trainer.unet.conv_in.weight)


def test_a_state_of_another_network_is_refused(tmp_path):
    Trainer(network(), clips(), options()).save(tmp_path / "state.pt")
    wider = SeineUNet3D(SeineConfig(**CONFIG.to_dict() | {"block_out_channels": (32, 32, 32, 64)}))
    initialise(wider, 0)
    with pytest.raises(RuntimeError, match="size mismatch"):
        Trainer(wider, clips(), options()).resume(tmp_path / "state.pt")


def test_gradient_checkpointing_gives_the_same_gradients():
    def gradients(recompute):
        unet = network()
        with torch.no_grad():  # beyond the zeros it starts with
            for value in unet.parameters():
                value.add_(0.01 * torch.randn(value.shape, generator=generator(len(value))))
        if recompute:
            recompute_activations(unet)
        unet.train()
        data = clips()
        latents, context = data.batch(2, 4, generator())
        masked = masked_latents(latents, torch.ones(2, 4), data.gray)
        noise_prediction_loss(unet, latents, masked, torch.ones(2, 4), context, generator()).backward()
        return {name: value.grad for name, value in unet.named_parameters() if value.grad is not None}

    plain, recomputed = gradients(False), gradients(True)
    assert plain.keys() == recomputed.keys() and len(plain) > 400
    for name, value in plain.items():
        torch.testing.assert_close(recomputed[name], value, rtol=1e-4, atol=1e-6)


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights():
    exact = Trainer(network(), clips(), options())
    mixed = Trainer(network(), clips(), options(mixed_precision=True))
    a, b = list(exact.run()), list(mixed.run())
    assert a != b and a == pytest.approx(b, rel=0.05)
    assert {value.dtype for value in mixed.ema.values()} == {torch.float32}


def test_text_is_dropped_as_often_as_asked():
    seen = []

    class Spy(SeineUNet3D):
        def forward(self, sample, timestep, context):
            seen.extend((row == 0).all().item() for row in context)
            return super().forward(sample, timestep, context)

    for share, low, high in ((0.0, 0, 0), (1.0, 12, 12)):
        seen.clear()
        unet = Spy(CONFIG)
        initialise(unet, 0)
        list(Trainer(unet, clips(), options(text_dropout=share)).run())
        assert low <= sum(seen) <= high and len(seen) == 12


def test_a_loss_that_is_no_number_stops_the_training():
    broken = clips()
    broken.latents[:] = math.nan
    with pytest.raises(FloatingPointError, match="learning rate"):
        Trainer(network(), broken, options()).advance()


def test_a_network_learns_to_keep_what_is_given():
    """One clip, learned by heart: the loss falls to less than half of what a new network has."""
    plan = options(phases=(Phase(120, 4, 2),), learning_rate=4e-3, warmup=5)
    losses = list(Trainer(network(), clips(count=1, frames=2), plan).run())
    assert sum(losses[-20:]) / 20 < 0.5 * sum(losses[:20]) / 20
