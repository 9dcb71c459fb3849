"""Wires that sample without an error and are not meant so: each is refused, or said on the node."""

import pytest

from tests.graphs import FRAMES, SIZE, clip, latents, node, sampled

SAMPLERS = ("SEINEKSampler", "KSampler")


def refused(client, graph, words):
    with pytest.raises(Exception, match=words):
        latents(client, graph)


def test_the_sampler_s_mask_behind_an_empty_latent(client):
    graph = sampled(clip(), mask=["mask", 0])
    refused(client, graph, "mask: the frames it keeps are empty in latent_image: unplug mask")


def test_the_sampler_s_mask_on_a_finished_clip(client):
    graph = sampled(clip())
    again = {**graph["sample"]["inputs"], "latent_image": ["sample", 0], "mask": ["mask", 0], "seed": 2}
    graph["again"] = node("SEINEKSampler", **again)
    graph["latent"]["inputs"]["samples"] = ["again", 0]
    assert len(latents(client, graph)["latent"]) == FRAMES


def test_one_mask_for_clips_whose_first_prompt_passed_no_clip(client):
    """How long a clip is stands in whichever prompt of the combined ones carries it."""

    def combined(*order):
        graph = sampled(clip("text to video", images=0, videos=2), mask=["free", 0])
        graph["free"] = node("SolidMask", value=1.0, width=SIZE, height=SIZE)
        for name, wire in (("positive", ["clip", 0]), ("negative", ["clip", 1])):
            first, second = (wire, [name, 0]) if order == ("clip", "plain") else ([name, 0], wire)
            graph[f"both {name}"] = node("ConditioningCombine", conditioning_1=first, conditioning_2=second)
            graph["sample"]["inputs"][name] = [f"both {name}", 0]
        return latents(client, graph)["latent"]

    wanted = combined("clip", "plain")
    assert (combined("plain", "clip") - wanted).abs().max() < 1e-3 * wanted.abs().max()


def test_prompts_wired_past_the_images(client):
    graph = sampled(clip(), positive=["positive", 0], negative=["negative", 0])
    refused(client, graph, "positive, negative: latent_image is of a clip with 1 given frames, of which these prompts")


def test_prompts_past_the_images_where_none_are_given(client):
    graph = sampled(clip("text to video", images=0), positive=["positive", 0], negative=["negative", 0])
    assert len(latents(client, graph)["latent"]) == FRAMES


def test_a_latent_of_more_frames_than_the_prompts(client):
    graph = sampled(clip())
    graph["other mask"] = node("SEINEMaskBuilder", **{**graph["mask"]["inputs"], "frames": 2 * FRAMES})
    graph["other"] = node("SEINEImageToVideo", **{**graph["clip"]["inputs"], "mask": ["other mask", 0]})
    graph["sample"]["inputs"]["latent_image"] = ["other", 2]
    refused(client, graph, f"positive: it is for a clip of {FRAMES} frames, latent_image for one of {2 * FRAMES}")


def test_a_mask_of_half_the_frames_on_one_clip(client):
    graph = sampled(clip(frames=2 * FRAMES))
    graph["half"] = node("SEINEMaskBuilder", **{**graph["mask"]["inputs"], "frames": FRAMES})
    again = {**graph["sample"]["inputs"], "latent_image": ["sample", 0], "mask": ["half", 0], "seed": 2}
    graph["again"] = node("SEINEKSampler", **again)
    graph["latent"]["inputs"]["samples"] = ["again", 0]
    refused(client, graph, f"mask: it has {FRAMES} frames, latent_image is one clip of {2 * FRAMES}")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_empty_latent_of_another_size(client, sampler):
    graph = sampled(clip(), sampler)
    graph["empty"] = node("EmptyLatentImage", width=2 * SIZE, height=2 * SIZE, batch_size=FRAMES)
    graph["sample"]["inputs"]["latent_image"] = ["empty", 0]
    refused(
        client, graph, f"latent_image: it is {2 * SIZE}x{2 * SIZE}, the keyframes of positive and negative are {SIZE}"
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("width", "height", "fits"), [(96, 96, True), (128, 120, True), (128, 64, False)])
def test_a_second_pass_at_another_size(client, sampler, width, height, fits):
    graph = sampled(clip())
    sizes = {"upscale_method": "bilinear", "crop": "disabled", "width": width, "height": height}
    graph["larger"] = node("LatentUpscale", samples=["sample", 0], **sizes)
    second = sampled({}, sampler, latent_image=["larger", 0], denoise=0.5)
    graph |= {"second": second["sample"], "latent": node("SaveLatent", samples=["second", 0], filename_prefix="l")}
    if fits:
        assert latents(client, graph)["latent"].shape[-2:] == (height // 8, width // 8)
    else:
        refused(
            client, graph, "latent_image: it is 128x64, the keyframes .* 64x64: take the latent of a node that keeps"
        )


@pytest.mark.parametrize(("inverted", "said"), [(True, True), (False, False)])
def test_an_inverted_mask_is_said(client, server, inverted, said):
    before = len(server.log.read_text(encoding="utf-8"))
    graph = sampled(clip(), seed=3 + inverted)
    if inverted:
        graph["inverted"] = node("InvertMask", mask=["mask", 0])
        graph["clip"]["inputs"]["mask"] = ["inverted", 0]
    latents(client, graph)
    assert ("it keeps most of the 4 frames" in server.log.read_text(encoding="utf-8")[before:]) == said
