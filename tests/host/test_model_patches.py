"""Stock nodes that patch a MODEL act on their own graph alone: the next plain clip is the plain clip, bit for bit."""

import pytest

from tests.graphs import FRAMES, clip, latents, node, sampled, windows
from tools.hosting.client import RunError

SLOW = {"TorchCompileModel"}
"""It compiles for minutes on a CPU; tests/adapter/test_compile.py has it."""
WIDGETS = {"INT", "FLOAT", "BOOLEAN", "COMBO", "STRING"}


def settings_of(info: dict) -> dict | None:
    """Values for all inputs but the MODEL of a node that makes a MODEL of a MODEL; None for any other node."""
    required = info["input"].get("required", {})
    models = [name for name, spec in required.items() if spec[0] == "MODEL"]
    if info["output"][:1] != ["MODEL"] or len(models) != 1 or info.get("api_node"):
        return None
    values = {}
    for name, (kind, *options) in required.items():
        if name == models[0]:
            values[name] = ["model", 0]
        elif isinstance(kind, list):
            values[name] = kind[0] if kind else None
        elif kind in WIDGETS:
            choices = options[0].get("options") or [None]
            values[name] = options[0].get("default", choices[0])
        else:
            return None
    return None if None in values.values() else values


@pytest.fixture(scope="module")
def patches(server):
    """Stock nodes that patch, each with its inputs at their defaults."""
    found = {}
    for name, info in server.client.object_info().items():
        settings = settings_of(info)
        if name not in SLOW and settings is not None and info["python_module"].startswith(("nodes", "comfy_extras")):
            found[name] = settings
    # The default is not a patch, and this is the one that people use.
    found["ModelSamplingDiscrete"] = {"model": ["model", 0], "sampling": "v_prediction", "zsnr": True}
    return found


def graph(number: int, sampler: str, videos: int = 1, **changes) -> dict:
    """A clip that is not in the server's cache: the latent is cut to a length of its own, which changes nothing."""
    settings = {"seed": 4, "steps": 2, **changes}
    made = sampled(clip(videos=videos), sampler, latent_image=["cut", 0], **settings)
    length = FRAMES * videos
    made["cut first"] = node("LatentFromBatch", samples=["clip", 2], batch_index=0, length=length + number // 40)
    made["cut"] = node("LatentFromBatch", samples=["cut first", 0], batch_index=0, length=length + number % 40)
    return made


@pytest.mark.parametrize("sampler", ["SEINEKSampler", "KSampler"])
def test_patches_leave_no_trace(client, patches, sampler):
    check_no_trace(client, patches, sampler)


@pytest.mark.one_host  # hosts differ in the nodes that patch, which the other test has
@pytest.mark.parametrize(("videos", "in_windows"), [(2, False), (1, True)])
def test_patches_leave_no_trace_of_two_videos_and_in_windows(client, patches, videos, in_windows):
    check_no_trace(client, patches, "SEINEKSampler", videos, in_windows)


def check_no_trace(client, patches, sampler, videos=1, in_windows=False):
    assert len(patches) > 25, sorted(patches)

    def made(number, patch=None):
        result = graph(number, sampler, videos)
        if patch:
            result["patched"] = node(patch, **patches[patch])
            result["sample"]["inputs"]["model"] = ["patched", 0]
        if in_windows:
            result = windows(result, context_length=3, context_overlap=1)
            result["windows"]["inputs"]["model"] = result["sample"]["inputs"]["model"]
            result["sample"]["inputs"]["model"] = ["windows", 0]
        return result

    plain = latents(client, made(0))["latent"]
    traces, acting, refused = [], [], {}
    for number, patch in enumerate(sorted(patches), 1):
        try:
            if not latents(client, made(0, patch))["latent"].equal(plain):
                acting.append(patch)
        except RunError as problem:
            refused[patch] = str(problem).splitlines()[0]
        if not latents(client, made(number))["latent"].equal(plain):
            traces.append(patch)
    assert traces == []
    assert "ModelSamplingDiscrete" in acting and len(acting) > 8, (acting, refused)


def test_a_schedule_is_the_one_of_this_model(client):
    """SEINE's own scheduler reads the patched schedule, also where the model inside last ran with another."""
    plain = latents(client, graph(101, "SEINEKSampler"))["latent"]
    patched = graph(102, "SEINEKSampler")
    patched["patched"] = node("ModelSamplingDiscrete", model=["model", 0], sampling="eps", zsnr=True)
    patched["sample"]["inputs"]["model"] = ["patched", 0]
    first = latents(client, patched)["latent"]
    assert not first.equal(plain)
    patched["cut"]["inputs"]["length"] += 1
    assert latents(client, patched)["latent"].equal(first)
    assert latents(client, graph(104, "SEINEKSampler"))["latent"].equal(plain)
