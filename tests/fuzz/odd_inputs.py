"""Values that no careful node would give, by the type of the input they reach, as recipes of the test-only node."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Recipe = Any

DTYPES = ("float32", "float16", "bfloat16", "float64", "uint8", "int64", "bool")
FILLS = ("plain", "zero", "nan", "one nan", "inf", "minus inf", "huge", "x255", "negative")
NUMBERS = [0, 1, -1, 2**31, -(2**31), 2**63, 2**64, 10**30, 1.5, 3.0, 1e308, -1e-9, 10**400]
NUMBERS += [float("nan"), float("inf"), float("-inf"), True]
NO_NUMBERS = [None, "7", "", [], [3], {"dict": {}}, {"shape": [1], "dtype": "float32", "fill": "plain"}]
TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "half \udfff a character",
    "x" * 300,
    "é" * 150,
    "y " * 3000,
    "\n\n",
    "%",
    "🎬",
]
PATHS = [
    "../../outside",
    "/outside",
    "a/b/c",
    "a//b",
    "..",
    ".",
    "/",
    "CON",
    "a\\b",
    "%date:yyyy%",
    "a\nb",
    "~/x",
    "a:b?*",
]
PROMPTS = ["0:", "0", ":", "0: a\n0: b", "9: a", "-1: a", "99999999999999999999: a", "9" * 5000 + ": a", "(a:nan) b"]
PROMPTS += ["0: (((((a:1e30)))))", "0: embedding:none", "frame 1： x", "0: a\x0b1: b", "((" * 500, "# only this"]
STORIES = ["shot 1: a", "shot 0: a", "shot 1e9: a", "shot 2: a\ntransition 2: b", "shot 2: a\nshot 2: b", "shot 1.5: a"]
STORIES += [
    "shot " + "9" * 400 + "s: a",
    "transition 1: a",
    "shot 99999999: a",
    "shot ٣: a",
    "shot 1: a\ntransition 0s: b",
]
STORIES += ["shot 2: (a:1e30)", "shot 0.0001s: a", "shot " + "9" * 5000 + ": a"]
INDICES = ["0", "-1", "0,0", "0;1", "1.5", "9" * 5000, "99999999999999", "0 1 2", "٣", "1_000", "+0", "0,,", "nan"]


def tensor(shape: list[int], dtype: str = "float32", fill: str = "plain") -> Recipe:
    return {"shape": shape, "dtype": dtype, "fill": fill}


@st.composite
def twisted(draw, shape: list[int]) -> Recipe:
    """A tensor of another shape, dtype or of other values than `shape` of float32 in 0..1; often in one way alone."""
    how = draw(st.sampled_from(["shape", "dtype", "fill", "several"]))
    dtype = draw(st.sampled_from(DTYPES)) if how in ("dtype", "several") else "float32"
    fill = draw(st.sampled_from(FILLS)) if how in ("fill", "several") else "plain"
    if how in ("shape", "several"):
        shape = draw(shapes(shape))
    return tensor(shape, dtype, fill)


def shapes(shape: list[int]) -> st.SearchStrategy[list[int]]:
    """Fewer and more dimensions, and one of them of another size."""
    sizes = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 16, 33])
    places = st.integers(0, len(shape) - 1)
    return st.one_of(
        st.builds(lambda place, size: [*shape[:place], size, *shape[place + 1 :]], places, sizes),
        st.builds(lambda place, size: [*shape[:place], size, *shape[place:]], places, st.sampled_from([1, 2])),
        st.builds(lambda place: [*shape[:place], *shape[place + 1 :]], places),
        st.sampled_from([[], [0], [4]]),
    )


def things() -> st.SearchStrategy[Recipe]:
    """What belongs on no wire at all."""
    return st.sampled_from([None, "text", 3, [], [[]], {"dict": {}}, {"object": "object"}, tensor([2])])


def image(frames: int, height: int, width: int) -> st.SearchStrategy[Recipe]:
    return _mostly(twisted([frames, height, width, 3]))


def mask(frames: int, height: int, width: int) -> st.SearchStrategy[Recipe]:
    return _mostly(twisted([frames, height, width]))


def latent(frames: int, height: int, width: int) -> st.SearchStrategy[Recipe]:
    """A LATENT: samples that are odd, not there, or beside other things that are odd."""
    shape = [frames, 4, height // 8, width // 8]
    beside = st.fixed_dictionaries(
        {},
        optional={
            "noise_mask": st.one_of(twisted([frames, 1, height // 8, width // 8]), st.none()),
            "batch_index": st.sampled_from([[], [0], [0, 1, 2], [-1], [2**40], ["a"], None]),
            "type": st.just("audio"),
        },
    )
    odd = st.builds(lambda samples, others: {"dict": {"samples": samples, **others}}, twisted(shape), beside)
    ordinary = st.builds(lambda others: {"dict": {"samples": tensor(shape), **others}}, beside)
    nothing = st.builds(lambda samples: {"dict": {"samples": samples}}, things())
    return _mostly(st.one_of(odd, odd, ordinary, nothing))


def conditioning(frames: int, height: int, width: int) -> st.SearchStrategy[Recipe]:
    """CONDITIONING: no prompts, prompts of other widths or values, and options that are odd or not there."""
    embedding = st.one_of(
        twisted([1, 77, 64]), st.sampled_from([tensor([1, 77, 64]), tensor([1, 77, 768]), tensor([frames, 77, 64])])
    )
    shape = [frames, 4, height // 8, width // 8]
    options = st.fixed_dictionaries(
        {},
        optional={
            "pooled_output": st.one_of(twisted([1, 64]), st.none()),
            "seine_frames": st.sampled_from([0, -1, 1, frames, frames + 1, 10**9, None, "a", 1.5]),
            "seine_mask": st.one_of(twisted([frames, 1, *shape[2:]]), things()),
            "seine_masked_latents": st.one_of(twisted(shape), things()),
            "seine_kept_until": things(),
            "seine_camera": things(),
            "strength": st.sampled_from([0.0, -1.0, 1e30, float("nan")]),
            "start_percent": st.sampled_from([0.0, 0.5, 1.0]),
            "end_percent": st.sampled_from([0.0, 0.5, 1.0]),
        },
    )
    pair = st.builds(lambda first, second: [first, {"dict": second}], embedding, options)
    plain = st.builds(lambda first: [first, {"dict": {}}], embedding)
    broken = st.sampled_from([[None, {"dict": {}}], [tensor([1, 77, 64])], [tensor([1, 77, 64]), None], [], None])
    return _mostly(st.lists(st.one_of(plain, pair, pair, broken), max_size=2))


def audio() -> st.SearchStrategy[Recipe]:
    """A sound: waveforms and rates that are odd or not there, and ordinary ones."""
    waveforms = st.one_of(st.just(tensor([1, 2, 4000])), twisted([1, 2, 400]), things())
    rates = st.sampled_from([8000, 8000, 44100, 0, -1, 1, 1.5, 10**9, 10**30, float("nan"), None, "8000"])
    return _mostly(st.builds(lambda wave, rate: {"dict": {"waveform": wave, "sample_rate": rate}}, waveforms, rates))


def _mostly(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(strategy, strategy, strategy, things())


def wired(kind: str, frames: int, height: int, width: int) -> st.SearchStrategy[Recipe]:
    """Odd values for an input that takes wires alone."""
    objects = {
        "MODEL": ["stable diffusion", "empty vae"],
        "CLIP": ["wide clip", "16 channel vae"],
        "VAE": ["16 channel vae", "pixel vae", "nan vae", "empty vae", "wide clip"],
        "SAMPLER": ["euler"],
    }
    if kind in objects:
        return st.one_of(st.sampled_from([{"object": name} for name in objects[kind]]), things())
    if kind == "SIGMAS":
        made = [tensor([count], fill=fill) for count in (0, 1, 2, 3) for fill in FILLS]
        return st.one_of(st.sampled_from(made), twisted([3]), things())
    if kind == "AUDIO":
        return audio()
    if kind == "VIDEO":
        return things()
    tensors = {"IMAGE": image, "MASK": mask, "LATENT": latent, "CONDITIONING": conditioning}
    return tensors[kind](frames, height, width)


def chosen(name: str, kind: str, facts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Odd values for an input that people type or choose; `facts`: its limits, as the server says them."""
    if kind in ("INT", "FLOAT"):
        limits = [facts["min"], facts["min"] - 1, facts["max"] + 1]
        return st.one_of(st.sampled_from(limits), st.sampled_from(NUMBERS), st.sampled_from(NO_NUMBERS))
    if kind == "STRING":
        own = {"filename_prefix": PATHS, "prompts": PROMPTS, "story": STORIES, "indices": INDICES}
        known = st.sampled_from([*TEXTS, *own.get(name, [])])
        return st.one_of(known, known, st.text(max_size=40), st.sampled_from([None, 5, []]))
    if kind == "BOOLEAN":
        return st.sampled_from([None, "false", 0, 1, 2, float("nan"), []])
    return st.one_of(st.sampled_from(["", "nothing of the kind", "\0", None, 3, []]))
