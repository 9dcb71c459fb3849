"""Images that a request names, below one folder and nowhere else, or brings with it."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from seine_model.writing import whole_file
from tools.jobs.pictures import find_image

FORMATS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
MOST_PIXELS = 64_000_000
"""Of an image that is sent: a small file can hold more than memory does."""


class Images:
    """root: below which requests may name images, None: they may name none. kept: folder for those that are sent.

    What is sent is kept under the sha256 of its bytes for as long as somebody holds it. Used by several threads.
    """

    def __init__(self, root: Path | None, kept: Path):
        self._root = None if root is None else root.resolve()
        self._kept = kept
        self._holds: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def find(self, name: str) -> Path | str:
        """The image that a request names, or what is wrong with the name.

        A name that leads out of the root, by ``..``, as an absolute path or over a link, is refused in the same words
        whether there is such a file or not.
        """
        if self._root is None:
            return f"{name!r:.60} names a file of the server, which has no folder for them (--root); send the image"
        try:
            path = (self._root / name.strip()).resolve()
        except (OSError, RuntimeError, ValueError):  # a name too long, links in a circle, a zero byte
            path = None
        if path is None or not path.is_relative_to(self._root):
            return f"{name!r:.60} is not below the server's folder of images; give a path below it"
        inside = path.relative_to(self._root).as_posix()
        found = find_image(inside, [self._root])
        return found.replace(str(self._root), "the server's folder of images") if isinstance(found, str) else found

    def keep(self, name: str, file: IO[bytes]) -> Path | str:
        """Keep an image that was sent, and hold it; or what is wrong with it. Raises OSError where the disk is full."""
        from PIL import Image

        try:
            with Image.open(file, formats=tuple(FORMATS)) as image:
                ending, (width, height) = FORMATS[image.format], image.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return f"{name!r:.60} is no image that can be read; send a PNG, JPEG or WebP file"
        if width * height > MOST_PIXELS:
            return f"{name!r:.60} has {width}x{height} pixels; send one of {MOST_PIXELS // 10**6} million or fewer"
        path = self._kept / f"{_digest(file)}{ending}"
        with self._lock:
            if not path.exists():
                self._kept.mkdir(parents=True, exist_ok=True)
                with whole_file(path) as part, open(part, "wb") as target:
                    for block in _blocks(file):
                        target.write(block)
            self._holds[path] += 1
        return path

    def hold(self, paths: Iterable[Path]) -> list[Path]:
        """Hold those of the images that were sent; returns them."""
        sent = [path for path in paths if path.parent == self._kept]
        with self._lock:
            self._holds.update(sent)
        return sent

    def release(self, paths: Iterable[Path]) -> None:
        """Let go of images; those that nobody holds any more are removed."""
        with self._lock:
            for path in paths:
                self._holds[path] -= 1
                if self._holds[path] <= 0:
                    del self._holds[path]
                    path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what a killed service left and nobody holds."""
        with self._lock:
            for path in self._kept.iterdir() if self._kept.is_dir() else ():
                if path not in self._holds:
                    path.unlink(missing_ok=True)


def _digest(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    for block in _blocks(file):
        found.update(block)
    return found.hexdigest()


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """All of a file, from its beginning on."""
    file.seek(0)
    while block := file.read(1 << 20):
        yield block
