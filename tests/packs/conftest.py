"""One server with ten other packs beside ours, and after every test the plain clip, which they must not touch."""

from __future__ import annotations

import dataclasses
import itertools
import shutil

import pytest

from tests.graphs import latents
from tests.packs.packs import DEEP, DEEP_MODEL, PACKS, folder_of, small
from tools.hosting import environment
from tools.hosting.sample_bundle import sample_bundle
from tools.hosting.server import REPOSITORY, ComfyServer

REQUIREMENTS = REPOSITORY / "tests" / "packs" / "requirements.txt"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def packed_host(host, tmp_path_factory):
    """The host with what the packs ask for; a user's own ComfyUI as it is."""
    if host.python is not None:
        return host
    asked = tmp_path_factory.mktemp("asked") / "requirements.txt"
    asked.write_text((host.folder / "requirements.txt").read_text() + "\n" + REQUIREMENTS.read_text())
    return dataclasses.replace(host, python=environment.ensure_on_top(f"packs-{host.name}", asked, "torch"))


@pytest.fixture(scope="session")
def packed(packed_host, sample_model, tmp_path_factory):
    """A server with all packs, copied: some write into their own folders."""
    base = tmp_path_factory.mktemp(f"packed-{packed_host.name}")
    for pack in PACKS:
        shutil.copytree(folder_of(pack), base / "custom_nodes" / pack, ignore=shutil.ignore_patterns(".git"))
    made_up = REPOSITORY / "tools" / "hosting" / "made_up"
    shutil.copytree(made_up, base / "custom_nodes" / "made_up", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as changed:
        # Of ultralytics, which the Impact Pack imports: nothing fetched, nothing written into the user's home.
        for name, value in {"OFFLINE": "1", "AUTOINSTALL": "false", "CONFIG_DIR": str(base)}.items():
            changed.setenv(f"YOLO_{name}", value)
        arguments = ["--preview-method", "latent2rgb"]
        deep = sample_bundle(tmp_path_factory.mktemp("deep") / DEEP_MODEL, DEEP)
        with ComfyServer(packed_host, base, {"seine": [sample_model, deep]}, arguments) as running:
            yield running


@pytest.fixture(scope="session")
def plain(server):
    """The plain clip of the host with our pack alone."""
    return latents(server.client, small())["latent"]


@pytest.fixture
def client(packed, plain):
    """The client of the server with all packs: the plain clip is the same, bit for bit, after whatever a test does."""
    packed.check()
    yield packed.client
    packed.check()
    after = latents(packed.client, small(number=next(NUMBERS)))["latent"]
    assert after.equal(plain), "the plain clip changed"
