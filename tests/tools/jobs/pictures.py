"""Small pictures for jobs."""

from pathlib import Path

from PIL import Image


def picture(path: Path, colour: int = 0, size: tuple[int, int] = (24, 16)) -> Path:
    """A file of one colour, its folders too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 90, 160)).save(path)
    return path
