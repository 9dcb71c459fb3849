"""The procedural world, and the measures that read colour, shape and motion off its clips."""

import math

import pytest
import torch

from tools.training.small_model import measures, world

STYLES = world.PLAIN, world.VARIED
MEASURED = ("left", "right", "up", "down", "grow", "shrink")


def first_scene(motion, start=0):
    return world.scene(start, (motion,))


def test_a_seed_is_a_scene():
    assert world.scene(3) == world.scene(3) != world.scene(4)
    assert torch.equal(world.render(world.scene(3)), world.render(world.scene(3)))


def test_clips_have_the_size_asked_for_and_values_of_pictures():
    for frames, size in ((16, 128), (1, 64), (5, 40)):
        clip = world.render(world.scene(0), frames, size)
        assert clip.shape == (frames, 3, size, size)
        assert 0 <= clip.min() < clip.max() <= 1


def test_everything_that_can_happen_happens():
    scenes = [world.scene(seed) for seed in range(600)]
    assert {scene.motion for scene in scenes} == set(world.MOTIONS)
    assert {scene.look.shape for scene in scenes} == set(world.PLAIN.shapes) < set(world.SHAPES)
    varied = [world.scene(seed, style=world.VARIED) for seed in range(100)]
    assert {scene.look.shape for scene in varied} == set(world.SHAPES)
    assert {scene.look.colour for scene in scenes} == set(world.COLOURS)
    assert {scene.look.ground_colour for scene in scenes} == set(world.GROUND_COLOURS)
    assert all(scene.look.colour != scene.look.ground_colour for scene in scenes)


def test_plain_scenes_have_larger_shapes_and_calmer_grounds():
    def texture(style):
        look = world.scene(1, ("still",), style).look
        return world.render(world.Scene(look, "still", (0.0, 0.0), 0.1, 0.0), frames=1)[0, :, :, :20].std((1, 2))

    assert (texture(world.PLAIN) < 0.7 * texture(world.VARIED)).all()
    plain, varied = ([world.scene(seed, ("left",), style).radius for seed in range(9)] for style in STYLES)
    assert min(plain) > 0.45 and max(varied) < 0.5


@pytest.mark.parametrize(
    ("motion", "words"),
    [
        ("left", " moves left over "),
        ("grow", " grows over "),
        ("pan up", ", the camera pans up"),
        ("zoom out", ", the camera zooms out"),
        ("recolour", " turns "),
        ("change", " changes into a "),
    ],
)
def test_captions_say_what_happens(motion, words):
    scene = first_scene(motion)
    assert words in scene.caption and "{" not in scene.caption
    assert scene.caption.startswith(f"a {scene.look.colour} {scene.look.shape}")
    assert f"{scene.look.ground_colour} {scene.look.ground}" in scene.caption


def test_what_the_measures_see_is_what_the_caption_says():
    for seed in range(40):
        scene = world.scene(seed, MEASURED)
        clip = world.render(scene)
        assert measures.motion(clip, scene.look.colour) == scene.motion, scene.caption
        for frame in (clip[0], clip[8], clip[15]):
            seen = measures.look_at(frame)
            assert (seen.colour, seen.shape) == (scene.look.colour, scene.look.shape), scene.caption


def test_a_change_leads_from_one_look_to_the_other():
    for seed in range(8):
        scene = first_scene("change", seed)
        clip = world.render(scene)
        for frame, look in ((clip[0], scene.look), (clip[-1], scene.second)):
            seen = measures.look_at(frame)
            assert (seen.colour, seen.shape) == (look.colour, look.shape)


def test_camera_and_shape_move_against_each_other():
    scene = first_scene("pan left")
    assert measures.motion(world.render(scene), scene.look.colour) == "right"
    clip = world.render(scene)
    assert measures.psnr(clip[0, :, :8], clip[7, :, :8]) < 40  # the ground moves too
    still = world.render(first_scene("still"))
    assert measures.psnr(still[0], still[-1]) > 90


def test_turning_keeps_centre_and_area():
    scene = first_scene("spin")
    assert scene.look.shape not in ("ball", "ring")
    clip = world.render(scene)
    assert measures.psnr(clip[0], clip[7]) < 40
    first, *_, last = measures.follow(clip, scene.look.colour)
    assert abs(first.x - last.x) < 0.08 and abs(first.y - last.y) < 0.08
    assert abs(first.area / last.area - 1) < 0.1


def test_psnr():
    black = torch.zeros(3, 4, 4)
    assert measures.psnr(black, black + 0.1) == pytest.approx(20, abs=1e-3)
    assert measures.psnr(black, black) == pytest.approx(100)
    assert measures.psnr(black - 5, black) == pytest.approx(100)  # as shown on a screen


def test_smoothness_of_ramp_noise_and_nothing():
    ramp = torch.linspace(0, 1, 16).reshape(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    assert measures.smoothness(ramp) == pytest.approx(3 / 17, abs=1e-4)
    noise = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert measures.smoothness(noise) == pytest.approx(1, abs=0.02)
    assert math.isnan(measures.smoothness(torch.zeros(4, 3, 8, 8)))


def test_measures_report_nothing_where_there_is_nothing():
    ground = torch.tensor(world.GROUND_COLOURS["green"]).reshape(3, 1, 1).expand(3, 64, 64)
    assert measures.look_at(ground) is None
    assert measures.motion(ground.expand(16, -1, -1, -1), "red") == ""
    scene = first_scene("still")
    assert measures.motion(world.render(scene), scene.look.colour) == "still"
    half_seen = world.render(first_scene("left")).clone()
    half_seen[4:12] = ground[:, :1, :1]
    assert measures.motion(half_seen, first_scene("left").look.colour) == ""


def test_a_jump_at_a_seam_stands_out_from_its_neighbours():
    brightness = torch.tensor([0.0, 0.1, 0.2, 0.5, 0.6, 0.65, 0.7, 0.8])
    clips = brightness.view(1, -1, 1, 1, 1).expand(2, -1, 3, 4, 5)
    mean = 0.8 / 7
    expected = [0.1 / mean, 0.3 / mean, 0.1 / mean, 0.05 / mean]
    assert measures.steps_around(clips, [3]) == pytest.approx(expected, rel=1e-5)
    both = [(0.1 + 0.3) / 2, (0.3 + 0.1) / 2, (0.1 + 0.05) / 2, (0.05 + 0.05) / 2]
    assert measures.steps_around(clips, [3, 4]) == pytest.approx([step / mean for step in both], rel=1e-5)
