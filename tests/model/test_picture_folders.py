"""Names of pictures and their folders, in order, and as prompts."""

import ntpath
import posixpath

import pytest

from seine_model.picture_folders import folders_in, images_in, is_below, is_text, natural, prompt_of


def test_natural_order():
    assert sorted(["10", "9", "a2", "a10", "B1"], key=natural) == ["9", "10", "a2", "a10", "B1"]


@pytest.mark.parametrize(
    ("path", "prompt"), [("a/b_c.d.png", "b c"), ("a/b_c/", "b c"), ("x\\y_z.png", "y z"), ("1", "1"), ("a.b/c", "c")]
)
def test_prompts_of_paths(path, prompt):
    assert prompt_of(path) == prompt


@pytest.mark.parametrize(
    ("paths", "path", "folder", "below"),
    [
        (ntpath, r"D:\photos", r"C:\ComfyUI\input", False),
        (ntpath, r"\\server\share\photos", r"C:\ComfyUI\input", False),
        (ntpath, r"c:\comfyui\Input\photos", r"C:\ComfyUI\input", True),
        (ntpath, r"C:\ComfyUI\input2", r"C:\ComfyUI\input", False),
        (posixpath, "/in/a/b", "/in/a", True),
        (posixpath, "/in/a", "/in/a", True),
        (posixpath, "/in/ab", "/in/a", False),
    ],
)
def test_what_is_below_a_folder(paths, path, folder, below):
    assert is_below(path, folder, paths) is below


def test_what_is_text():
    assert is_text("café 猫 😀")
    assert not is_text("half \ud83d") and not is_text(b"caf\xe9".decode(errors="surrogateescape"))


def test_what_is_in_a_folder(tmp_path):
    for name in ("10.png", "9.JPG", ".hidden.png", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    for name in ("b10", "b9", ".git", "__MACOSX"):
        (tmp_path / name).mkdir()
    images, others = images_in(tmp_path)
    assert [image.name for image in images] == ["9.JPG", "10.png"]
    assert others == [".hidden.png", "notes.txt", "Thumbs.db"]
    assert [sub.name for sub in folders_in(tmp_path)] == ["b9", "b10"]
