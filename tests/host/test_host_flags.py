"""Films under flags of ComfyUI that change number formats; benchmarks/host_flags.py tries all flags."""

import pytest

from tests.graphs import SIZE, clip, latents, node
from tools.hosting.server import ComfyServer

SAMPLING = {"seed": 3, "steps": 2, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "seine", "window": 8, "overlap": 2}
FLAGS = ["--fp16-intermediates", "--force-channels-last", "--bf16-vae"]


def films():
    graph = clip()
    graph["keyframes"]["inputs"]["batch_size"] = 2
    graph["extend"] = node(
        "SEINEExtendVideo",
        **{name: [name, 0] for name in ("model", "positive", "negative")},
        vae=["model", 2],
        direction="loop",
        frames=6,
        images=["keyframes", 0],
        **SAMPLING,
    )
    graph["story"] = node(
        "SEINEStory",
        model=["model", 0],
        clip=["model", 1],
        vae=["model", 2],
        images=["keyframes", 0],
        story="shot 4: a red ball\ntransition 4: it turns blue\nshot 4:",
        negative_prompt="",
        fps=8.0,
        width=SIZE,
        height=SIZE,
        resize_mode="crop",
        **SAMPLING,
    )
    for name in ("extend", "story"):
        graph[f"{name} latent"] = node("SaveLatent", samples=[name, 0], filename_prefix=f"latents/{name}")
    return graph


@pytest.mark.one_host
def test_films_under_other_number_formats(host, sample_model, tmp_path):
    with ComfyServer(host, tmp_path, {"seine": [sample_model]}, extra_args=FLAGS) as server:
        made = latents(server.client, films())
    assert {name: len(film) for name, film in made.items()} == {"extend latent": 8, "story latent": 12}
    assert all(film.isfinite().all() for film in made.values())
