"""Films of the model the pack ships, told and continued by a server and judged as videos."""

import torch

from tests.graphs import node, uploaded, video_frames
from tools.hosting.model_files import SMALL_CFG, SMALL_MODEL
from tools.training.small_model import measures, world
from tools.training.small_model.recipe import HELD_OUT

SAMPLING = {"seed": 0, "steps": 12, "cfg": SMALL_CFG, "sampler_name": "ddim", "scheduler": "seine"}
WINDOWS = {"window": 16, "overlap": 3}
SHOT, TRANSITION = 6, 7


def loaded_pictures(client, pictures):
    """The graph's first nodes: the model at "model", the pictures as one batch at "pictures"."""
    graph = {"model": node("SEINECheckpointLoader", model_name=SMALL_MODEL, base_name="bundled", weight_dtype="fp32")}
    source = None
    for index, picture in enumerate(pictures):
        graph[f"picture{index}"] = uploaded(client, f"film-{index}.png", picture)
        if source:
            graph[f"batch{index}"] = node("ImageBatch", image1=source, image2=[f"picture{index}", 0])
        source = [f"batch{index}" if source else f"picture{index}", 0]
    return graph, source


def test_a_story_shows_its_pictures_exactly_at_their_frames(client):
    scenes = [world.scene(HELD_OUT + index, ("left", "grow")) for index in range(4)]
    pictures = torch.cat([world.render(scene, frames=1) for scene in scenes])
    lines = [f"shot {SHOT}: {scene.caption}" for scene in scenes]
    story = f"\ntransition {TRANSITION}: it changes\n".join(lines)
    graph, source = loaded_pictures(client, pictures)
    graph["story"] = node(
        "SEINEStory",
        model=["model", 0],
        clip=["model", 1],
        vae=["model", 2],
        images=source,
        story=story,
        negative_prompt="",
        fps=8.0,
        width=world.SIZE,
        height=world.SIZE,
        resize_mode="stretch",
        **SAMPLING,
        **WINDOWS,
    )
    film = video_frames(client, graph, ["story", 0])
    assert len(film) == 4 * SHOT + 3 * TRANSITION
    for index, picture in enumerate(pictures):
        quality = [measures.psnr(frame, picture) for frame in film]
        at = index * (SHOT + TRANSITION)
        assert quality[at] > 29, "what the VAE alone keeps"
        assert quality.index(max(quality)) == at
        assert film[at].sub(film[at + 1]).abs().max() > 0, "no frame is there twice"


def test_a_continued_clip_does_not_jump(client):
    scene = world.scene(HELD_OUT + 3, ("still",))
    picture = world.render(scene, frames=1)
    graph, source = loaded_pictures(client, picture)
    graph |= {
        "positive": node("CLIPTextEncode", text=scene.caption, clip=["model", 1]),
        "negative": node("CLIPTextEncode", text="", clip=["model", 1]),
    }
    graph["film"] = node(
        "SEINEExtendVideo",
        model=["model", 0],
        positive=["positive", 0],
        negative=["negative", 0],
        vae=["model", 2],
        direction="after",
        frames=41,
        images=source,
        **SAMPLING,
        **(WINDOWS | {"overlap": 1}),
    )
    film = video_frames(client, graph, ["film", 0])
    assert len(film) == 42
    assert measures.psnr(film[0], picture[0]) > 29
    assert measures.seam_ratio(film[None], [16, 31]) < 1.3
