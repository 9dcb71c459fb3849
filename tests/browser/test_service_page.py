"""The service's page: a clip is asked for, waits, is made and plays, and is deleted; in English and in Chinese."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.tools.jobs.pictures import picture
from tests.tools.jobs.serving import Maker, checkpoint
from tests.videos import made
from tools.hosting import browser
from tools.jobs.making import Outcome
from tools.jobs.service.app import Settings, build_app

TOKEN = "a-token-of-enough-letters"


@contextmanager
def running(application):
    """Its address, where it answers over HTTP."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def maker(tmp_path):
    """Makes a film of a second; the first clip waits until it is let."""
    (tmp_path / "out").mkdir()
    write = lambda path, item: made(path, 8, 128, 128, container="mp4")  # noqa: E731
    maker = Maker(tmp_path / "out", checkpoint(tmp_path / "models"), write)
    maker.open.clear()
    return maker


def test_a_clip_is_asked_for_watched_and_deleted(tmp_path, chromium, maker):
    settings = Settings(tmp_path / "out", token=TOKEN, most_waiting=2)
    application, _ = build_app(settings, checkpoint(tmp_path / "models"), maker, 1)
    picture(tmp_path / "a_lake_at_dawn.png", 40)
    with running(application) as address:
        page = chromium.new_page(viewport={"width": 1100, "height": 720}, locale="en-GB")
        urls, errors = [], []
        page.on("request", lambda request: urls.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address)
        expect(page.locator("#problem")).to_have_text("The token is missing or wrong.")
        page.get_by_label("Token").fill(TOKEN)
        expect(page.locator("#empty")).to_be_visible()
        page.get_by_label("Images").set_input_files(tmp_path / "a_lake_at_dawn.png")
        page.get_by_label("Other keys").fill("steps=5 id=dawn")
        make = page.get_by_role("button", name="Make clip")
        make.click()
        cards = page.locator(".clip")
        expect(cards.first).to_contain_text("a lake at dawn")
        expect(cards.first).to_contain_text("Being made")
        page.get_by_label("Images").set_input_files([])
        page.get_by_label("Other keys").fill("steps=1")
        page.get_by_label("Prompt").fill("<img src=x onerror=alert(1)>")
        make.click()
        expect(page.locator("#problem")).to_contain_text("steps: 1 is out of range; the nearest right one is 2")
        page.get_by_label("Other keys").fill("")
        make.click()
        expect(cards.first).to_contain_text("Waiting, 0 before it")
        expect(cards.first.locator("p")).to_contain_text("<img src=x onerror=alert(1)>")
        page.get_by_label("Prompt").fill("third")
        make.click()
        expect(cards).to_have_count(3)
        page.get_by_label("Prompt").fill("fourth")
        make.click()
        expect(page.locator("#problem")).to_have_text("The queue is full. Try again in 10 s.")
        cards.first.get_by_role("button", name="Delete").click()
        expect(cards).to_have_count(2)
        browser.screenshot(page, "service_queue")
        maker.open.set()
        page.wait_for_function("() => [...document.querySelectorAll('video')].some((one) => one.currentTime > 0.1)")
        boxes = [card.bounding_box() for card in page.locator(".picture").all()]
        assert len({round(box["height"]) for box in boxes}) == 1  # whatever the shape of a clip
        maker.fate = [Outcome(False, error="VAE: it is broken", cause="job")]
        page.get_by_label("Prompt").fill("a clip that fails")
        make.click()
        expect(page.locator(".failed")).to_contain_text("VAE: it is broken")
        expect(page.locator("#counts")).to_have_text("0 waiting · 0 being made · 2 made · 1 failed")
        browser.screenshot(page, "service_clips")
        page.get_by_role("button", name="中文").click()
        expect(page.locator("#counts")).to_have_text("等待 0 · 生成中 0 · 已完成 2 · 失败 1")
        expect(page.get_by_role("button", name="生成短片")).to_be_visible()
        browser.screenshot(page, "service_chinese")
        page.goto(f"{address}/docs")
        expect(page.locator(".opblock")).to_have_count(5)
        browser.screenshot(page, "service_docs")
        expect(page.get_by_role("button", name="Authorize")).to_be_visible()
        assert errors == [] and all(url.startswith((address, "blob:", "data:")) for url in urls)
        page.close()
