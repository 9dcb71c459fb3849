"""Servers and one browser for all tests of the interface in a ComfyUI."""

import pytest
from PIL import Image

from tests.browser.nodes_on_the_page import PICTURES
from tests.published import write_models
from tools.hosting import browser
from tools.hosting.model_files import INTERPOLATOR
from tools.hosting.server import ComfyServer

EMPTY = "() => { app.graph.clear(); app.graph.id = crypto.randomUUID() }"
"""Values of widgets are remembered by the graph's id."""


@pytest.fixture(scope="package")
def served(host, tmp_path_factory):
    """A server, and what the workflows name."""
    base = tmp_path_factory.mktemp("browser")
    with ComfyServer(host, base) as server:
        write_models(server.models)
        (server.models / INTERPOLATOR.directory / INTERPOLATOR.name).touch()  # named, not used
        browser.save_settings(server.client.address, browser.SETTINGS)
        yield server


@pytest.fixture(scope="package")
def bare(host, tmp_path_factory):
    """A server that has nothing but what the pack brings."""
    with ComfyServer(host, tmp_path_factory.mktemp("bare")) as server:
        yield server


@pytest.fixture(scope="package")
def chromium():
    try:
        with browser.browser() as started:
            yield started
    except LookupError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="package")
def opened(served, chromium):
    """The interface, ready, with the host's first workflow in it."""
    opened = browser.open_interface(chromium, served.client.address)
    yield opened
    opened.close()


@pytest.fixture
def page(opened):
    """The same with an empty graph."""
    opened.keyboard.press("Escape")
    opened.evaluate(EMPTY)
    opened.wait_for_timeout(300)
    return opened


@pytest.fixture(params=["classic", "vue"])
def nodes(request, served, page):
    """The page with one kind of nodes, and pictures among the server's inputs."""
    for name, colour in PICTURES.items():
        Image.new("RGB", (64, 64), colour).save(served.base / "input" / name)
    switch = "on => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)"
    page.evaluate(switch, request.param == "vue")
    page.wait_for_timeout(500)
    yield page
    page.evaluate(switch, False)
