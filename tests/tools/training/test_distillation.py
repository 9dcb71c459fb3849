"""Distillation: the teacher's way as DDIM goes it, a student that arrives where its teacher does, resuming."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from seine_model import SeineUNet3D
from seine_model.diffusion import Schedule, ddim_sample
from tests.tools.training.test_trainer import CONFIG, clips, generator
from tools.training.distillation import DistillationOptions, Distiller, predicted, segments, visited_timesteps
from tools.training.low_rank import switched_off
from tools.training.replayed import Replayed


def network():
    """With an effect of texts and of given frames, which a network that begins to learn does not have."""
    torch.manual_seed(0)
    unet = SeineUNet3D(CONFIG)
    for name, value in unet.named_parameters():
        nn.init.normal_(value, std=0.15) if value.ndim > 1 else nn.init.constant_(value, float("norm" in name))
        if name.endswith("freqs"):
            nn.init.constant_(value, 0.5)
    return unet.requires_grad_(False)


def options(**changes):
    values = {"steps": 4, "videos": 2, "frames": 2, "cfg": 3.0, "visited": (999, 400), "teacher_steps": 2, "rank": 4}
    return DistillationOptions(**values | changes)


def test_timesteps_are_those_of_the_scheduler_simple():
    assert visited_timesteps(4) == (999, 749, 499, 249) and visited_timesteps(3) == (999, 666, 333)


def test_segments_join_and_end_at_the_clip():
    first, last = segments((999, 400), 3)
    assert first.timesteps == (999, 799, 600) and last.timesteps == (400, 267, 133)
    assert first.sigmas[-1] == last.sigmas[0] and last.sigmas[-1] == 0
    assert first.sigmas[0] == pytest.approx(157.407, abs=1e-3)


@pytest.mark.parametrize("visited", [(), (400, 999), (1000, 1), (999, 0)])
def test_timesteps_that_lead_nowhere_are_refused(visited):
    with pytest.raises(ValueError, match="timesteps: give some that go down"):
        segments(visited, 2)
    with pytest.raises(ValueError, match="too close for 9 steps"):
        segments((999, 8), 9)


def test_the_target_leads_where_ddim_leads():
    unet = network()
    distiller = Distiller(unet, clips(frames=2), options())
    latents, noise, given, texts, _ = distiller._batch()
    way = distiller._ways[1]
    sigma = way.sigmas[0]
    state = latents + sigma * noise
    slope = distiller._teach(way, state, given, texts)

    def eps(x, t):
        with switched_off(unet):
            asked, unasked = (unet(torch.cat((x, given), 1), t, text) for text in texts.chunk(2))
        assert (asked - unasked).abs().max() > 1e-3, "guidance has no effect"
        return unasked + 3.0 * (asked - unasked)

    # From sigma to 0 it passes the same timesteps.
    clip = ddim_sample(eps, state / math.sqrt(1 + sigma**2), torch.tensor(way.timesteps))
    torch.testing.assert_close(state - sigma * slope, clip, rtol=1e-4, atol=1e-4)


class Toy(nn.Module):
    """The best denoiser of unit Gaussian noise, moved by the prompt, with something to learn for each timestep."""

    def __init__(self):
        super().__init__()
        self.dtype, self.config = torch.float32, CONFIG
        self.of_timestep = nn.Linear(1000, 2)
        nn.init.zeros_(self.of_timestep.weight), nn.init.zeros_(self.of_timestep.bias)
        self.register_buffer("noise", (1 - Schedule(torch.arange(1000)).alphas_cumprod).sqrt().float())

    def forward(self, sample, timestep, context):
        onehot = nn.functional.one_hot(timestep, 1000).float()
        scale, shift = (self.noise[timestep, None] * (1 + self.of_timestep(onehot))).view(-1, 2, 1, 1, 1, 1).unbind(1)
        return scale * sample[:, :4] + 0.3 * shift * context.mean((1, 2)).view(-1, 1, 1, 1, 1)


@pytest.mark.parametrize("rank", [2, 0])
def test_a_student_arrives_where_its_teacher_does(rank):
    toy = Toy()
    before = Toy()
    data = clips(frames=2)
    visited = (700, 300)
    chosen = options(steps=200, visited=visited, rank=rank, learning_rate=0.1, warmup=1)
    distiller = Distiller(toy, data, chosen)
    list(distiller.run())
    way, *others = [sum(values[-5:]) / sum(values[:5]) for values in distiller.errors().values()]
    assert max(way, *others) < 1e-2

    noise = torch.randn(3, 4, 2, 8, 8, generator=generator(7))
    given, text = torch.zeros(3, 5, 2, 8, 8), data.contexts

    def sampled(timesteps, eps):
        return ddim_sample(eps, noise, torch.tensor(timesteps))

    def guided(x, t):
        asked, unasked = (before(x, t, words) for words in (text, data.empty_context.expand_as(text)))
        return unasked + 3.0 * (asked - unasked)

    taught = sampled([step for segment in segments(visited, 2) for step in segment.timesteps], guided)
    with torch.no_grad():
        alone = sampled(visited, lambda x, t: toy(torch.cat((x, given), 1), t, text))
        untaught = sampled(visited, lambda x, t: before(x, t, text))
    error, without = ((clip - taught).square().mean() for clip in (alone, untaught))
    assert error < 0.02 * without


@pytest.mark.parametrize("changes", [{}, {"rank": 0, "muon": True, "mixed_precision": True}])
def test_resuming_is_exact(tmp_path, changes):
    chosen = options(visited=(500,), teacher_steps=1, gradient_checkpointing=True, **changes)
    straight = Distiller(network(), clips(frames=2), chosen)
    start = {name: value.clone() for name, value in straight.ema.items()}
    straight.advance()
    straight.save(tmp_path / "state.pt")
    straight.advance()
    resumed = Distiller(network(), clips(frames=2), chosen)
    resumed.resume(tmp_path / "state.pt")
    assert resumed.step == 1
    resumed.advance()
    assert resumed.errors() == straight.errors()
    for name, value in straight.ema.items():
        assert torch.equal(resumed.ema[name], value), name
    assert any(not torch.equal(start[name], value) for name, value in straight.ema.items())


def test_a_state_of_another_distillation_is_refused(tmp_path):
    first = Distiller(network(), clips(frames=2), options(visited=(500,), teacher_steps=1))
    first.advance()
    first.save(tmp_path / "state.pt")
    with pytest.raises(ValueError, match=r"state.pt is of another distillation.*delete it"):
        Distiller(network(), clips(frames=2), options()).resume(tmp_path / "state.pt")


@pytest.mark.parametrize("rank", [2, 0])
def test_a_state_of_another_checkpoint_or_seed_is_refused(tmp_path, capsys, rank):
    state, chosen = tmp_path / "state.pt", options(visited=(500,), teacher_steps=1, rank=rank)
    first = Distiller(network(), clips(frames=2), chosen)
    first.advance()
    first.save(state)
    tuned = network()
    tuned.conv_out.weight.data.mul_(1.1)
    faster = replace(chosen, learning_rate=1e-5, steps=9)
    Distiller(network(), clips(frames=2), faster).resume(state)
    if rank:  # the weights beside it may be held in fewer bits
        Distiller(network().bfloat16(), clips(frames=2), chosen).resume(state)
    assert not capsys.readouterr().out
    for unet, changed, what in (
        (tuned, chosen, "another checkpoint"),
        (network(), replace(chosen, seed=5), "seed 0 and not 5"),
    ):
        with pytest.raises(ValueError, match=f"state.pt is of another distillation: {what}: delete it"):
            Distiller(unet, clips(frames=2), changed).resume(state)

    # As an earlier version wrote it.
    stored = torch.load(state, weights_only=True)
    stored["task"] = {name: stored["task"][name] for name in ("visited", "rank", "cfg", "teacher_steps")}
    torch.save(stored, state)
    Distiller(network(), clips(frames=2), chosen).resume(state)
    assert "taken to be as given now: checkpoint, frames, seed" in capsys.readouterr().out
    stored["task"]["to"] = "clip"
    torch.save(stored, state)
    with pytest.raises(ValueError, match="to_clip True and not False"):
        Distiller(network(), clips(frames=2), chosen).resume(state)


def test_errors_that_are_no_numbers_end_it():
    unet = network()
    nn.init.constant_(unet.conv_in.bias, math.nan)
    with pytest.raises(FloatingPointError, match="error at step 1 is nan"):
        Distiller(unet, clips(frames=2), options(visited=(500,), teacher_steps=1)).advance()


def test_the_network_sees_states_as_hosts_show_them():
    seen = []

    class Recorder(nn.Module):
        dtype = torch.float32

        def forward(self, sample, timestep, context):
            seen.append((sample, timestep))
            return sample[:, :4]

    state, given = torch.ones(2, 4, 1, 2, 2), torch.full((2, 5, 1, 2, 2), 7.0)
    predicted(Recorder(), state, 3.0, 321, given, torch.zeros(2, 1, 1))
    sample, timestep = seen[0]
    torch.testing.assert_close(sample[:, :4], state / 10**0.5)
    assert torch.equal(sample[:, 4:], given) and timestep.tolist() == [321, 321]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need CUDA")
def test_a_replayed_step_is_the_step():
    weight = torch.ones(3, device="cuda", requires_grad=True)

    def step(x):
        loss = (weight * x).square().sum()
        loss.backward()
        return loss.detach()

    replayed = Replayed(step, lambda: setattr(weight, "grad", None))
    for scale in (1.0, 2.0):
        x = torch.full((3,), scale, device="cuda")
        assert float(replayed(x)) == 3 * scale**2 and weight.grad.tolist() == [2 * scale**2] * 3
