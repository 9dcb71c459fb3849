"""What the Comfy Registry is told about the pack."""

import re
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
