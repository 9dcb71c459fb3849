"""Models as the host's own savers write them."""

import pytest


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_lora_is_in_the_saved_weights_whatever_their_order_in_memory(run_in_host, tmp_path, channels_last, loaded):
    saved = run_in_host("saving.py", folder=str(tmp_path), channels_last=channels_last, loaded=loaded)
    assert set(saved["differences"]) == {"linear", "convolution 3", "convolution 1"}
    assert max(saved["differences"].values()) <= 1e-4
    assert saved["facts"] == ["seine_config"]
    assert saved["rotary tables"] == 10
