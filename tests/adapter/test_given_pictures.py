"""A portrait and a landscape through the templates' settings: what is round stays so, in the middle."""

import os

import pytest
from PIL import Image, ImageDraw

from tools.hosting import workflow_graph

TEMPLATES = ("image_to_video", "transition", "story")
SIZES = {"portrait": (300, 520), "landscape": (640, 300)}


def photograph(file, width: int, height: int):
    """A red disc in the middle of bands that show what was cut away."""
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for band in range(10):
        left, top = width * band // 10, height * band // 10
        draw.rectangle((left, 0, width, height), (20 * band, 80, 200 - 20 * band))
        draw.line((0, top, width, top), (230, 230, 230), 3)
    draw.ellipse((width / 2 - 60, height / 2 - 60, width / 2 + 60, height / 2 + 60), (240, 20, 20))
    picture.save(file)
    return str(file)


@pytest.mark.one_host
def test_photographs_are_not_distorted_by_what_the_templates_set(run_in_host, tmp_path):
    found = run_in_host(
        "given_pictures.py",
        workflows={name: str(workflow_graph.FOLDER / f"{name}.json") for name in TEMPLATES},
        pictures={name: photograph(tmp_path / f"{name}.png", *size) for name, size in SIZES.items()},
        sheet=os.environ.get("SEINE_CONTACT_SHEET"),
    )
    assert set(found) == set(TEMPLATES)
    for template, discs in found.items():
        assert len(discs) >= len(SIZES), template
        for left, top, right, bottom, width, height in discs:
            across, down = right - left, bottom - top
            assert abs(across - down) <= 2, f"{template}: {across}x{down}"
            assert abs(left + right - width) <= 3, template
            assert abs(top + bottom - height) <= 3, template
