"""Our nodes called inside a host with tensors that no stock node would make."""

import pytest


@pytest.fixture(scope="session")
def facts(run_in_host):
    return run_in_host("nodes.py")


def test_every_distinct_image_is_encoded_once(facts):
    assert facts["encoded at once"] == [1, 2]  # one mid-gray frame, two keyframes: not sixteen frames


def test_decoding_goes_a_few_frames_at_a_time(facts):
    assert facts["decoded at once"] == [4, 4, 2]


def test_not_a_number_is_noticed(facts):
    assert "image 1 of the batch contains NaN" in facts["NaN keyframe"]
    assert "lower cfg" in facts["NaN latent"]


def test_latents_of_other_video_models_are_refused(facts):
    assert "frames as batch rows" in facts["video latent"]


def test_transparent_images_are_encoded(facts):
    assert facts["RGBA"] == [4, 4, 5, 9]


def test_text_encoder_of_another_width(facts):
    assert facts["text"] == [1, 77, 64]


def test_a_bundle_may_say_what_gray_is_to_its_vae(facts):
    assert facts["gray latents"] == [[0.8223, -0.6876, 0.6364, 0.138], [0.5, -1.0, 0.25, 0.0]]


def test_a_long_mask_takes_one_value_for_each_frame(facts):
    shape, kept, clips, megabytes = facts["long mask"]
    assert (shape, kept, clips) == ([4096, 576, 1024], 1, 1)
    assert megabytes < 100, "4096 frames of 1024x576 would be 9.7 GB"
