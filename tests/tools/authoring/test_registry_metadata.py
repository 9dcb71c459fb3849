"""What the Comfy Registry is told about the pack."""

import posixpath
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tools.hosting.model_files import BASE, SEINE

tomllib = pytest.importorskip("tomllib")  # Python 3.11
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_name_version_and_licence(project):
    about = project["project"]
    assert re.fullmatch("[a-z][a-z0-9-]*", about["name"]) and "comfy" not in about["name"]
    released = re.search(r"^## \[?(\d+\.\d+\.\d+)", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert about["version"] == released[1]
    assert (REPOSITORY / about["license"]["file"]).read_text(encoding="utf-8").lstrip().startswith("Apache License")
    assert (REPOSITORY / about["readme"]).is_file() and 20 < len(about["description"]) < 200


def test_requirements_are_none_as_the_host_brings_all(project):
    lines = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert project["project"]["dependencies"] == [line for line in lines if line and not line.startswith("#")] == []


def test_models_are_those_of_the_workflows(project):
    listed = [(model["location"], model["model_url"]) for model in project["tool"]["comfy"]["Models"]]
    assert listed == [(f"models/{file.directory}/{file.name}", file.url) for file in (SEINE, BASE)]


def test_pictures_have_the_registry_s_proportions():
    with Image.open(REPOSITORY / "assets" / "icon.png") as icon:
        assert icon.width == icon.height <= 400
    with Image.open(REPOSITORY / "assets" / "banner.png") as banner:
        assert banner.width * 9 == banner.height * 21


def tracked(*options: str) -> set[str]:
    """Files that git has; those that .comfyignore leaves out with `-i -X .comfyignore`: its syntax is git's."""
    found = subprocess.run(["git", "ls-files", "-z", *options], cwd=REPOSITORY, capture_output=True, check=False)
    return set(found.stdout.decode().split("\0")) - {""}


def test_links_of_what_is_published_lead_to_what_is_published():
    files = tracked()
    if not files:
        pytest.skip("not a git repository: what would be published is not known")
    published = files - tracked("-c", "-i", "-X", ".comfyignore")
    assert not any(file.startswith(("tests/", "benchmarks/")) and file.endswith(".py") for file in published)
    folders = {folder.as_posix() for file in published for folder in Path(file).parents}
    dead = []
    for file in sorted(file for file in published if file.endswith(".md")):
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        # The interface puts web/docs before the pictures of help pages.
        base = "web/docs" if file.startswith("web/docs/") else posixpath.dirname(file)
        for link in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text):
            place = "".join(link).partition("#")[0]
            if place and not re.match("[a-z]+:", place):
                target = posixpath.normpath(posixpath.join(base, place))
                if target not in published | folders:
                    dead.append(f"{file}: {place}")
    assert dead == []
