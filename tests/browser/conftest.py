"""One server and one browser for all tests of the interface."""

import pytest

from tests.published import write_models
from tools.hosting import browser
from tools.hosting.model_files import INTERPOLATOR
from tools.hosting.server import ComfyServer


@pytest.fixture(scope="session")
def served(host, tmp_path_factory):
    """A server, and what the workflows name."""
    base = tmp_path_factory.mktemp("browser")
    with ComfyServer(host, base) as server:
        write_models(server.models)
        (server.models / INTERPOLATOR.directory / INTERPOLATOR.name).touch()  # named, not used
        browser.save_settings(server.client.address, browser.SETTINGS)
        yield server


@pytest.fixture(scope="session")
def chromium():
    try:
        with browser.browser() as started:
            yield started
    except LookupError as problem:
        pytest.skip(str(problem))
