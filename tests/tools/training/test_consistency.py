"""Distillation to the clip: the teacher's ways as DDIM goes them, kept in files, and a student for any of its steps."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from seine_model.diffusion import ddim_sample
from tests.tools.training.test_distillation import Toy, network, options
from tests.tools.training.test_trainer import clips
from tools.training.consistency import ConsistencyDistiller, taught_ways
from tools.training.distillation import Distiller, segments
from tools.training.made_from import fingerprint


def test_ways_end_where_ddim_does(tmp_path):
    unet, data, chosen = network(), clips(frames=2), options(videos=3, visited=(400, 200))
    data.latents, data.contexts, data.gray = (each.half().float() for each in (data.latents, data.contexts, data.gray))
    ways = taught_ways(unet, data, chosen, tmp_path, 4)
    assert ways.noise.shape == (6, 4, 2, 8, 8) and len(ways.clips) == len(ways.given) == len(ways.contexts) == 6
    given, noise = ways.given.float(), ways.noise.float()
    timesteps = [step for way in segments(chosen.visited, 2) for step in way.timesteps]

    def eps(x, t):
        sample = torch.cat((x, given), 1)
        asked = unet(sample, t, ways.contexts.float())
        return torch.lerp(unet(sample, t, data.empty_context.float().expand_as(ways.contexts)), asked, 3.0)

    clip = ddim_sample(eps, noise, torch.tensor(timesteps))
    torch.testing.assert_close(ways.clips.float(), clip, rtol=2e-3, atol=2e-3)
    assert not torch.equal(given[:3], given[3:]), "each batch has clips and masks of its own"


def test_ways_are_made_once(tmp_path):
    unet, data, chosen = network(), clips(frames=2), options()
    first = taught_ways(unet, data, chosen, tmp_path, 2)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    more = taught_ways(unet, data, chosen, tmp_path, 3)
    assert len(more.clips) == 4 and torch.equal(more.clips[:2], first.clips)
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())
    tuned = network()
    tuned.conv_out.weight.data.mul_(1.1)
    some, others = (replace(data, made_from={"clips": {name: "digest"}}) for name in ("a.mp4", "b.mp4"))
    taught_ways(unet, some, chosen, tmp_path / "some", 2)
    for teacher, given, changed, place, what in (
        (unet, data, replace(chosen, cfg=2.0), tmp_path, "cfg 3.0 and not 2.0"),
        (tuned, data, chosen, tmp_path, "another checkpoint"),
        (unet, others, chosen, tmp_path / "some", r"other clips \(a.mp4, b.mp4\)"),
    ):
        before = list(place.iterdir())
        with pytest.raises(ValueError, match=f"ways-00000.safetensors is of another distillation: {what}: delete it"):
            taught_ways(teacher, given, changed, place, 9)
        assert list(place.iterdir()) == before, "more are not made before it is said"


def test_ways_of_an_earlier_version_are_used(tmp_path, capsys):
    unet, data, chosen = network(), clips(frames=2), options()
    made = taught_ways(unet, data, chosen, tmp_path, 2)
    used = {name: getattr(chosen, name) for name in ("visited", "teacher_steps", "cfg", "videos", "frames", "seed")}
    said = {"options": json.dumps(used), "teacher": fingerprint(unet.state_dict())}
    save_file(vars(made), tmp_path / "ways-00000.safetensors", said)
    known = replace(data, made_from={"clips": {"a.mp4": "digest"}})
    assert torch.equal(taught_ways(unet, known, chosen, tmp_path, 2).clips, made.clips)
    assert "does not say all it was made from; taken to be as given now: clips" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"cfg 3.0 and not 1.0"):
        taught_ways(unet, known, replace(chosen, cfg=1.0), tmp_path, 2)


@pytest.mark.parametrize("rank", [2, 0])
def test_a_student_arrives_from_every_timestep(tmp_path, rank):
    toy, data = Toy(), clips(frames=2)
    data.empty_context.zero_()  # the toy can learn what the prompt adds alone
    visited = (700, 300)
    chosen = options(steps=800, visited=visited, rank=rank, videos=4, learning_rate=0.05, warmup=1)
    ways = taught_ways(toy, data, chosen, tmp_path, 16)
    distiller = ConsistencyDistiller(toy, data, chosen, ways)
    list(distiller.run())
    assert list(distiller.errors()) == ["700 to clip", "300 to clip"]
    distiller.publish()
    noise, given, text = ways.noise.float(), ways.given.float(), ways.contexts.float()

    def error(model, timesteps):
        with torch.no_grad():
            clip = ddim_sample(lambda x, t: model(torch.cat((x, given), 1), t, text), noise, torch.tensor(timesteps))
        return (clip - ways.clips).square().mean()

    for timesteps in (visited, visited[:1]):
        assert error(toy, timesteps) < 0.02 * error(Toy(), timesteps), timesteps


def test_states_are_of_one_kind_of_distillation(tmp_path):
    data, chosen = clips(frames=2), options(visited=(500,), teacher_steps=1)
    unet = network()
    ways = taught_ways(unet, data, chosen, tmp_path, 2)
    straight = ConsistencyDistiller(unet, data, chosen, ways)
    straight.advance()
    straight.save(tmp_path / "state.pt")
    straight.advance()
    resumed = ConsistencyDistiller(network(), data, chosen, ways)
    resumed.resume(tmp_path / "state.pt")
    resumed.advance()
    assert resumed.errors() == straight.errors()
    assert all(torch.equal(resumed.ema[name], value) for name, value in straight.ema.items())
    with pytest.raises(ValueError, match=r"state.pt is of another distillation"):
        Distiller(network(), data, chosen).resume(tmp_path / "state.pt")


def test_the_clip_is_the_target_where_the_student_came_to_itself(tmp_path):
    """With what it says at first, the second timestep's state is the one of a sampler's step."""
    seen = []

    class Recorder(Toy):
        def forward(self, sample, timestep, context):
            seen.append((int(timestep[0]), sample[:, :4].detach()))
            return super().forward(sample, timestep, context)

    toy, data = Recorder(), clips(frames=2)
    chosen = options(visited=(700, 300), teacher_steps=1, own=1.0, cfg=1.0)
    distiller = ConsistencyDistiller(toy, data, chosen, taught_ways(toy, data, chosen, tmp_path, 2))
    untaught, passed = Toy(), []
    _, _, given, context, _ = distiller._batch()

    def eps(x, t):
        passed.append(x)
        return untaught(torch.cat((x, given), 1), t, context)

    seen.clear()
    distiller.advance()
    (first, start), (second, there) = seen
    ddim_sample(eps, start, torch.tensor([700, 300]))
    assert (first, second) == (700, 300)
    torch.testing.assert_close(there, passed[1])
