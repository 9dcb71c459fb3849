"""What is typed behind --set."""

import pytest

from tests.tools.test_batch import dry
from tools.hosting.environment import SetupError
from tools.jobs.options import settings_of

KEYS = ("prompt", "negative", "id", "additional_prompt", "text_prompt", "images", "input_path")
NESTED = pytest.param("[" * 9000, id="nested")
TYPED = ("a: b: c", "@blur", "*blurry*", "[blurry", "%x", "boat #1", "a 'quoted' \"word\"", "yes", "7", "null", " , x")


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("key", KEYS)
def test_texts_are_as_they_are_typed(key, typed):
    assert settings_of([f" {key} ={typed}"]) == {key: typed}


def test_other_values_are_those_of_yaml():
    given = ["steps=7", "cfg=2.5", "image_size=[240, 560]", "use_fp16=false", "text_prompt=[a boat]", "seed=", "x=a=b"]
    assert settings_of(given) == {
        "steps": 7,
        "cfg": 2.5,
        "image_size": [240, 560],
        "use_fp16": False,
        "text_prompt": ["a boat"],
        "seed": None,
        "x": "a=b",
    }


@pytest.mark.parametrize("typed", ["a: b: c", "@7", "*7", "[7", "%7", "2024-13-45", "!!int ''", "!!bool 7", NESTED])
def test_what_cannot_be_read_is_said_with_its_key(typed):
    with pytest.raises(SetupError, match=r"^--set steps: .* cannot be read \(.*\): put it in YAML's quotes$"):
        settings_of([f"steps={typed}"])


def test_the_command_says_it(tmp_path):
    (tmp_path / "rows.csv").write_text("steps\n7\n")
    ran = dry(tmp_path, "rows.csv", "--set", "steps=@7")
    assert ran.returncode == 2 and ran.stderr.startswith("error: --set steps: '@7' cannot be read (")
    ran = dry(tmp_path, "rows.csv", "--set", "prompt=a: b: c", "--set", "negative=[blurry", "--set", "cfg=2")
    assert ran.returncode == 0 and '"prompt": "a: b: c", "negative": "[blurry"' in ran.stdout, ran.stderr
