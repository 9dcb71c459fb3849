"""A folder of clips to learn from: which of its files are videos, which their captions."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif"}


def videos_in(folder: Path) -> list[Path]:
    """By name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def caption_of(video: Path) -> Path:
    """The text file that says what a video shows."""
    return video.with_suffix(".txt")
