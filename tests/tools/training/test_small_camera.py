"""How far shapes move, and how the camera does, on clips whose motion is known."""

import math

import pytest

from tools.training.small_model import measures, world
from tools.training.small_model.camera import camera_motion

CAMERAS = tuple(name for name in world.MOTIONS if name.startswith(("pan", "zoom")))
PIXELS = world.SIZE / 2 / (world.FRAMES - 1)
"""Per frame, of a half frame width per clip."""


def test_way_of_a_shape():
    for seed in range(12):
        scene = world.scene(seed, tuple(world.DIRECTIONS))
        way = measures.displacement(world.render(scene), scene.look.colour)
        assert way == pytest.approx(scene.amount * PIXELS, rel=0.12), scene.caption


def test_growth_of_a_shape_and_of_none():
    for motion in ("grow", "shrink"):
        slower, faster = (world.Scene(world.scene(0).look, motion, (0.0, 0.0), 0.4, by) for by in (1.2, 1.4))
        slow, fast = (measures.displacement(world.render(each), each.look.colour) for each in (slower, faster))
        assert 0.05 < slow < fast
    still = world.scene(0, ("still",))
    assert measures.displacement(world.render(still), still.look.colour) < 0.01
    assert measures.displacement(world.render(still), "red" if still.look.colour != "red" else "blue") == 0


def test_the_camera_of_true_clips():
    """Named as the caption says, and as fast as the world moves them."""
    for seed in range(24):
        scene = world.scene(seed, CAMERAS)
        found = camera_motion(world.render(scene), scene.look.colour)
        assert found.name == scene.motion, (scene.caption, found)
        if scene.motion.startswith("pan"):
            assert math.hypot(found.right, found.down) == pytest.approx(scene.amount * PIXELS, rel=0.15)
        else:
            whole = found.zoom ** (world.FRAMES - 1)
            assert max(whole, 1 / whole) == pytest.approx(scene.amount, rel=0.1)


def test_a_camera_that_stands_still_before_a_shape_that_moves():
    scenes = [world.scene(seed, ("left", "right", "up", "down", "grow", "still")) for seed in range(40)]
    over_tiles = [scene for scene in scenes if scene.look.ground == "tiles"]
    assert len(over_tiles) > 5
    for scene in over_tiles:
        assert camera_motion(world.render(scene), scene.look.colour).name == "still", scene.caption
