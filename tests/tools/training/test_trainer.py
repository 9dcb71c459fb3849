"""Training: masks, loss, schedule, EMA, resuming, and that a network learns."""

import math
from dataclasses import replace

import pytest
import torch

from seine_model import SeineConfig, SeineUNet3D, load_unet
from tools.training.batches import masked_latents, noised
from tools.training.initialisation import initialise
from tools.training.latent_clips import LatentClips
from tools.training.trainer import Phase, Trainer, TrainingOptions, noise_prediction_loss, recompute_activations

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
    assert list(whole.run()) == [1, 2, 3, 4, 5, 6]
    losses = whole.losses
    assert len(losses) == 6 == whole.step

    first = Trainer(network(), clips(), options(muon=muon))
    for _ in range(3):
        first.advance()
    first.save(tmp_path / "state.pt")
    second = Trainer(network(seed=9), clips(), options(muon=muon))
    second.resume(tmp_path / "state.pt")
    assert second.losses == losses[:3]
    assert list(second.run()) == [4, 5, 6]
    assert second.losses == losses
    for name, value in whole.ema.items():
        assert torch.equal(value, second.ema[name]), name
    other = Trainer(network(), clips(), options(seed=1, muon=muon))
    other.advance()
    assert other.losses[0] != losses[0]


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


def test_a_state_of_another_training_is_refused(tmp_path, capsys):
    state = tmp_path / "state.pt"
    known = replace(clips(), made_from={"width": 64, "clips": {"a.mp4": "1", "b.mp4": "2"}})
    trainer = Trainer(network(), known, options(), checkpoint="one")
    trainer.advance()
    trainer.save(state)
    assert torch.equal(load_unet(state, CONFIG).conv_in.weight, trainer.ema["conv_in.weight"]), "loaders read it"

    def resumed(data=known, checkpoint="one", **changes):
        again = Trainer(network(), data, options(**changes), checkpoint)
        again.resume(state)
        return again

    assert resumed(learning_rate=1e-4, phases=(Phase(9, 1, 1),), gradient_checkpointing=True).step == 1
    assert not capsys.readouterr().out
    for changes, what in (
        ({"seed": 5}, "seed 0 and not 5"),
        ({"checkpoint": "two"}, "another checkpoint"),
        ({"data": replace(known, made_from=known.made_from | {"width": 72})}, "width 64 and not 72"),
        ({"data": replace(known, made_from={"width": 64, "clips": {"b.mp4": "3"}})}, r"other clips \(a.mp4, b.mp4\)"),
    ):
        with pytest.raises(ValueError, match=f"state.pt is of another training: {what}: delete it, .*--folder"):
            resumed(**changes)

    # Of a version that said nothing of it: hours of work are not refused for that.
    stored = torch.load(state, weights_only=True)
    del stored["task"]
    torch.save(stored, state)
    assert resumed().step == 1
    assert "state.pt does not say all it was made from" in capsys.readouterr().out
    resumed().save(state)
    with pytest.raises(ValueError, match="seed 0 and not 5"):
        resumed(seed=5)


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
        noise_prediction_loss(unet, noised(latents, masked, torch.ones(2, 4), context, generator())).backward()
        return {name: value.grad for name, value in unet.named_parameters() if value.grad is not None}

    plain, recomputed = gradients(False), gradients(True)
    assert plain.keys() == recomputed.keys() and len(plain) > 400
    for name, value in plain.items():
        torch.testing.assert_close(recomputed[name], value, rtol=1e-4, atol=1e-6)


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights():
    exact = Trainer(network(), clips(), options())
    mixed = Trainer(network(), clips(), options(mixed_precision=True))
    for each in (exact, mixed):
        list(each.run())
    a, b = exact.losses, mixed.losses
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
    trainer = Trainer(network(), clips(count=1, frames=2), plan)
    list(trainer.run())
    losses = trainer.losses
    assert sum(losses[-20:]) / 20 < 0.5 * sum(losses[:20]) / 20
