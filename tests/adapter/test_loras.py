"""LoRAs made for Stable Diffusion 1.5: what the host applies to its own UNet, it applies to SEINE's."""

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def report(run_in_host):
    return run_in_host("loras.py")


def test_all_namings(report):
    assert report["not in seine"] == []
    for naming, found in report["namings"].items():
        if found["stock"]:
            assert found["seine"] == found["stock"], naming
        else:
            assert found["seine"].startswith("lora_name: nothing in this file is for SEINE's network"), naming
    assert sum(bool(found["stock"]) for found in report["namings"].values()) >= 9


def test_attention_over_frames_has_a_name_too(report):
    assert report["temporal"] == ["diffusion_model.input_blocks.1.1.transformer_blocks.0.attn_temp.to_q.weight"]


def test_what_has_nothing_for_seine_is_refused(report):
    assert "of 214 weights" in report["refused"]["wider"] and "other widths" in report["refused"]["wider"]
    assert report["stock on refused"]["wider"] > 200, "the host itself applies them, and fails in its log"
    for name in ("AnimateDiff", "text only"):
        assert report["refused"][name].startswith("lora_name: nothing in this file is for SEINE's network")


def test_the_documented_table_is_true(report):
    page = Path(__file__).parents[2].joinpath("docs", "compatibility.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| `.+?` \| (\d+) \| (\w+) \|$", page, re.M)
    expected = {
        (naming, str(len(found["stock"])), str(len(found["seine"])) if found["stock"] else "refused")
        for naming, found in report["namings"].items()
    }
    assert set(rows) == expected
