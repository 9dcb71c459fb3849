"""SEINE Image to Video by what is wired into it, beside the same clip by a mask and one batch of images."""

import pytest
import torch

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled

RED, BLUE, GREEN = 0xC04020, 0x2040C0, 0x20C040


def picture(colour: int, width: int = SIZE, height: int = SIZE):
    return node("EmptyImage", width=width, height=height, batch_size=1, color=colour)


def wired(frames: int = FRAMES, **inputs):
    """A clip without a mask; nodes among the inputs are put beside it and wired in."""
    graph = clip(images=0)
    del graph["mask"], graph["clip"]["inputs"]["mask"]
    for name, value in {"frames": frames, **inputs}.items():
        if isinstance(value, dict):
            graph[name], value = value, [name, 0]
        graph["clip"]["inputs"][name] = value
    return graph


def by_mask(indices: str, *colours: int):
    """The same by SEINE Mask Builder and a batch."""
    graph = clip("custom keyframes", images=0, indices=indices)
    graph |= {f"picture {number}": picture(colour) for number, colour in enumerate(colours)}
    graph["keyframes"] = node(
        "BatchImagesNode", **{f"images.image{number}": [f"picture {number}", 0] for number in range(len(colours))}
    )
    graph["clip"]["inputs"]["keyframes"] = ["keyframes", 0]
    return graph


def made(client, graph):
    return latents(client, sampled(graph))["latent"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"first_image": picture(RED)}, ("0", RED)),
        ({"last_image": picture(RED)}, ("3", RED)),
        ({"first_image": picture(RED), "last_image": picture(BLUE)}, ("0, 3", RED, BLUE)),
        ({"more_keyframes.keyframe0": picture(GREEN), "keyframe_places": "-2"}, ("2", GREEN)),
        (
            {"more_keyframes.keyframe0": picture(GREEN), "first_image": picture(RED), "last_image": picture(BLUE)},
            ("0, 2, 3", RED, GREEN, BLUE),
        ),
        (
            {
                "more_keyframes.keyframe0": picture(GREEN),
                "more_keyframes.keyframe1": picture(BLUE),
                "keyframe_places": "2，1",
            },
            ("1, 2", BLUE, GREEN),
        ),
    ],
)
def test_wires_say_which_frames_are_given(client, inputs, expected):
    assert torch.equal(made(client, wired(**inputs)), made(client, by_mask(*expected)))


def test_a_batch_has_places_too(client):
    batch = by_mask("1, 2", GREEN, BLUE)
    graph = wired(keyframes=batch["keyframes"], keyframe_places="1-2")
    graph |= {name: part for name, part in batch.items() if name.startswith("picture")}
    assert torch.equal(made(client, graph), made(client, batch))


def test_nothing_wired_in_is_text_to_video(client):
    assert torch.equal(made(client, wired()), made(client, clip("text to video", images=0)))


def test_portrait_and_landscape_go_together(client):
    mixed = wired(first_image=picture(RED, 40, 90), last_image=picture(BLUE, 100, 30), resize_mode="crop")
    assert torch.equal(made(client, mixed), made(client, by_mask("0, 3", RED, BLUE)))


@pytest.mark.parametrize(
    ("shape", "size"), [((120, 40), (14, 5)), ((40, 120), (5, 14)), ((64, 64), (8, 8)), ((1000, 1), (253, 1))]
)
def test_the_clip_takes_the_shape_of_its_first_image(client, shape, size):
    graph = wired(first_image=picture(RED, *shape), resize_mode="fit clip to image")
    graph["latent"] = node("SaveLatent", samples=["clip", 2], filename_prefix="latents/test")
    width, height = size
    assert latents(client, graph)["latent"].shape[-2:] == (height, width)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"first_image": picture(RED), "frames": 0}, "frames"),
        (
            {"first_image": picture(RED), "last_image": picture(BLUE), "frames": 1},
            "first_image, last_image: 2 images at the ends of a clip of 1 frames",
        ),
        ({"first_image": picture(RED), "keyframe_places": "2"}, "keyframe_places: 1 frames for 0 images"),
        (
            {"more_keyframes.keyframe0": picture(RED), "keyframe_places": "9"},
            "keyframe_places: frame 9 is outside the clip",
        ),
    ],
)
def test_what_does_not_fit_is_named(client, inputs, words):
    with pytest.raises(Exception, match=words):
        made(client, wired(**inputs))


def test_places_beside_a_mask_are_refused(client):
    graph = clip()
    graph["clip"]["inputs"]["keyframe_places"] = "2"
    with pytest.raises(Exception, match="keyframe_places: mask says which frames are given"):
        made(client, graph)


def test_the_templates_pictures_and_the_model_folder_are_there(server):
    assert (server.base / "models" / "seine" / "put_seine_checkpoints_here").is_file()
    info = server.client.object_info()["LoadImage"]["input"]["required"]["image"]
    listed = info[0] if isinstance(info[0], list) else info[1]["options"]
    assert {"seine_red_ball.png", "seine_yellow_ring.png", "seine_purple_cross.png"} <= set(listed)
