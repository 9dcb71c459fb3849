"""One prompt per frame, whoever makes it: it reaches its frame, also in context windows and in several clips."""

import pytest

from tests.graphs import FRAMES, clip, latents, node, sampled, windows
from tools.hosting.client import ExecutionFailed

A, B = "a red ball moves left", "a blue cross spins over tiles"


def graph(script=None, frames=FRAMES, videos=1, between="hold", **sampler):
    """Text to video by the prompt A, or by a script of prompts."""
    made = sampled(clip("text to video", frames, images=0, videos=videos, prompt=A), **sampler)
    if script is not None:
        made["positive"] = node("SEINEPromptTravel", clip=["model", 1], prompts=script, frames=frames, between=between)
    return made


def test_prompts_that_are_all_alike_are_one_prompt(client):
    plain = latents(client, graph())["latent"]
    assert latents(client, graph(f"0: {A}\n2: {A}"))["latent"].equal(plain)


@pytest.mark.parametrize("videos", [1, 2])
def test_a_prompt_changes_its_frames_most(client, videos):
    plain = latents(client, graph(videos=videos, steps=2))["latent"]
    other = latents(client, graph(f"0: {A}\n3: {B}", videos=videos, steps=2))["latent"]
    changed = (other - plain).abs().mean((1, 2, 3)).view(videos, FRAMES)
    assert (changed.argmax(1) == 3).all(), changed


def test_between_two_prompts_they_are_blended(client):
    held = latents(client, graph(f"0: {A}\n3: {B}"))["latent"]
    blended = latents(client, graph(f"0: {A}\n3: {B}", between="blend"))["latent"]
    assert not blended.equal(held) and blended.isfinite().all()


def test_what_other_packs_make_per_frame_is_read_alike(client):
    """Core's way to an embedding per row is the same tensor: rows joined one by one by their own nodes."""
    script = latents(client, graph("\n".join(f"{i}: {A if i < 2 else B}" for i in range(FRAMES))))["latent"]
    longer = latents(client, graph(f"0: {A}\n2: {B}", frames=FRAMES))["latent"]
    assert script.equal(longer)


def test_context_windows_give_every_frame_its_own(client):
    def windowed(script):
        made = graph(script, frames=8, steps=2)
        made = windows(made, context_length=4, context_overlap=0)
        made["sample"]["inputs"]["model"] = ["windows", 0]
        return latents(client, made)["latent"]

    changed = (windowed(f"0: {A}\n6: {B}") - windowed(None)).abs().mean((1, 2, 3))
    # Windows do not overlap: the first knows nothing of the second's prompts, and is only computed another way.
    assert changed[:4].max() < 0.01 * changed[4:].max()
    assert changed[4:].argmax() >= 2


def test_too_few_embeddings_are_refused(client):
    made = graph(f"0: {A}\n1: {B}", frames=FRAMES)
    made["positive"]["inputs"]["frames"] = 3
    with pytest.raises(ExecutionFailed, match="a prompt has 3 embeddings, the clip has 4 frames"):
        client.run(made)


def test_a_script_that_cannot_be_read_is_refused(client):
    with pytest.raises(ExecutionFailed, match="prompts, line 1: cannot read"):
        client.run(graph("a ball"))
