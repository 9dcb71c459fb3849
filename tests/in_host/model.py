"""Facts about SEINE as a MODEL of this host: differences of samples that should or should not agree."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.sd
import torch
from comfyui_seine.comfy_adapter import files, keyframes, loading, sampling
from comfyui_seine.seine_model.hooks import Hooks
from comfyui_seine.seine_model.masks import frame_mask

FRAMES, SIZE = 8, 8


def main() -> dict[str, Any]:
    return {name: check(Fixture()) for name, check in CHECKS.items()}


class Fixture:
    """A model and prompts; `sample` draws 3 steps of a clip."""

    def __init__(self) -> None:
        files.register_folder()
        self.path = files.model_path("sample.safetensors")
        self.model, self.clip, self.vae = loading.load_bundle(self.path, None)
        self.mask = frame_mask("onelast1", FRAMES)
        given = {"keyframes": torch.rand(2, SIZE * 8, SIZE * 8, 3, generator=torch.Generator().manual_seed(3))}
        self.latents = keyframes.encode_keyframes(self.vae, self.mask, given, SIZE * 8, SIZE * 8, "stretch")
        self.prompts = [self.encode(text) for text in ("a red ball moves left over a green field", "")]

    def encode(self, text: str) -> list:
        return [[self.clip.encode_from_tokens(self.clip.tokenize(text)), {}]]

    def conditioned(self, mask: torch.Tensor | None = None, latents: torch.Tensor | None = None) -> list[list]:
        mask = self.mask if mask is None else mask
        latents = self.latents if latents is None else latents
        return [keyframes.attach(prompt, mask, latents) for prompt in self.prompts]

    def empty(self, rows: int = FRAMES, **latent: Any) -> dict[str, Any]:
        return {"samples": torch.zeros(rows, 4, SIZE, SIZE), **latent}

    def sample(self, model: Any = None, latent: dict | None = None, conds: list | None = None, **options: Any):
        positive, negative = conds or self.conditioned()
        settings = {"seed": 7, "steps": 3, "cfg": 5.0, "sampler_name": "ddim", "scheduler": "seine", "denoise": 1.0}
        return sampling.sample(model or self.model, positive, negative, latent or self.empty(), **(settings | options))[
            "samples"
        ]


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference of two samples, relative to their largest value."""
    return float((a.float() - b.float()).abs().max() / torch.maximum(a.abs().max(), b.abs().max()))


def repeats(fixture: Fixture) -> dict[str, float]:
    first = fixture.sample(sampler_name="seine_ddpm")
    return {
        "same seed": difference(first, fixture.sample(sampler_name="seine_ddpm")),
        "other seed": difference(first, fixture.sample(sampler_name="seine_ddpm", seed=8)),
        "other prompt": difference(first, fixture.sample(sampler_name="seine_ddpm", conds=fixture.conditioned()[::-1])),
        "other keyframes": difference(
            first, fixture.sample(sampler_name="seine_ddpm", conds=fixture.conditioned(latents=-fixture.latents))
        ),
        "no keyframes": difference(first, fixture.sample(sampler_name="seine_ddpm", conds=fixture.prompts)),
    }


def two_videos(fixture: Fixture) -> dict[str, float]:
    both = fixture.sample(latent=fixture.empty(2 * FRAMES))
    second = fixture.empty(batch_index=list(range(FRAMES, 2 * FRAMES)))
    return {
        "first": difference(both[:FRAMES], fixture.sample()),
        "second": difference(both[FRAMES:], fixture.sample(latent=second)),
        "from each other": difference(both[:FRAMES], both[FRAMES:]),
    }


def guidance_halves(fixture: Fixture) -> dict[str, float]:
    """The host runs the halves of guidance apart where it estimates that both do not fit."""
    rows: list[int] = []
    forward = fixture.model.model.diffusion_model.network.forward_frames

    def spy(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        rows.append(x.shape[0])
        return forward(x, *args, **kwargs)

    fixture.model.model.diffusion_model.network.forward_frames = spy
    together = fixture.sample()
    batched = sorted(set(rows))
    rows.clear()
    estimate = fixture.model.model.memory_required
    fixture.model.model.memory_required = lambda input_shape, **_: 0 if input_shape[0] <= FRAMES else 1 << 60
    try:
        apart = fixture.sample()
    finally:
        fixture.model.model.memory_required = estimate
        fixture.model.model.diffusion_model.network.forward_frames = forward
    return {"difference": difference(together, apart), "batched rows": batched, "split rows": sorted(set(rows))}


def lora(fixture: Fixture) -> dict[str, float]:
    """A Stable Diffusion 1.x LoRA (linear and convolution layers) in kohya's names, on what SEINE shares with it."""
    weights = {}
    generator = torch.Generator().manual_seed(5)
    for key, value in fixture.model.model.diffusion_model.network.state_dict().items():
        if key.endswith((".attn1.to_q.weight", ".attn2.to_v.weight", ".ff.net.2.weight", ".conv2.weight")):
            name = "lora_unet_" + key.removesuffix(".weight").replace(".", "_")
            ones = [1] * (value.ndim - 2)
            weights[f"{name}.lora_down.weight"] = torch.randn(4, *value.shape[1:], generator=generator)
            weights[f"{name}.lora_up.weight"] = torch.randn(value.shape[0], 4, *ones, generator=generator) * 0.1
            weights[f"{name}.alpha"] = torch.tensor(4.0)
    plain = fixture.sample()

    def with_strength(strength: float) -> torch.Tensor:
        model, _ = comfy.sd.load_lora_for_models(fixture.model, None, dict(weights), strength, 0)
        return fixture.sample(model)

    return {
        "patched": len(comfy.sd.load_lora_for_models(fixture.model, None, dict(weights), 1, 0)[0].patches),
        "expected": len(weights) // 3,
        "strength 0": difference(plain, with_strength(0.0)),
        "strength 1": difference(plain, with_strength(1.0)),
        "afterwards": difference(plain, fixture.sample()),
    }


def patches(fixture: Fixture) -> dict[str, Any]:
    """transformer_options: patches that change nothing change nothing; each is called where Stable Diffusion's are."""
    seen: dict[str, set] = {}

    def note(name: str, options: dict) -> None:
        seen.setdefault(name, set()).add(options["block"])

    def qkv(name: str) -> Callable:
        def patch(q, k, v, options):
            note(name, options)
            assert q.shape[0] == k.shape[0] == v.shape[0]
            return q, k, v

        return patch

    def attention(name: str) -> Callable:
        def patch(q, k, v, options):
            note(name, options)
            q, k, v = (t.unflatten(-1, (options["n_heads"], -1)).transpose(1, 2) for t in (q, k, v))
            return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

        return patch

    def output(name: str) -> Callable:
        def patch(h, skip, options):
            note(name, options)
            return h, skip

        return patch

    def hidden(name: str) -> Callable:
        def patch(h, options):
            note(name, options)
            return h

        return patch

    def temporal(attn, x, positions, options):
        note("temporal", options)
        return attn(x, positions)

    model = fixture.model.clone()
    model.set_model_attn1_patch(qkv("attn1"))
    model.set_model_attn2_patch(qkv("attn2"))
    model.set_model_attn1_replace(attention("attn1 replaced"), "middle", 0)
    model.set_model_attn2_replace(attention("attn2 replaced"), "input", 1)
    model.set_model_input_block_patch(hidden("input"))
    model.set_model_output_block_patch(output("output"))
    replacements = model.model_options["transformer_options"].setdefault("patches_replace", {})
    replacements["attn_temp"] = {("output", 3): temporal}
    same = difference(fixture.sample(), fixture.sample(model))

    muted = fixture.model.clone()
    replacements = muted.model_options["transformer_options"].setdefault("patches_replace", {})
    replacements["attn_temp"] = {("middle", 0): lambda attn, x, positions, options: torch.zeros_like(x)}
    return {
        "difference": same,
        "without temporal attention": difference(fixture.sample(), fixture.sample(muted)),
        "seen": {name: sorted(map(list, blocks)) for name, blocks in seen.items()},
    }


def control(fixture: Fixture) -> dict[str, Any]:
    """ControlNet residuals are taken from the ends of their lists, at Stable Diffusion's positions."""
    unet = fixture.model.model.diffusion_model
    comfy.model_management.load_models_gpu([fixture.model])
    x, t, context = torch.randn(FRAMES, 9, SIZE, SIZE), torch.full((FRAMES,), 500.0), torch.randn(FRAMES, 77, 64)
    skips: list[torch.Size] = []

    class Shapes(Hooks):
        def before_output(self, h, skip):
            skips.append(skip.shape)
            return h, skip

        def after_middle(self, h):
            self.middle = h.shape
            return h

    shapes = Shapes()
    unet.network.forward_frames(x, t[:1], context[:1], FRAMES, shapes)
    plain = unet(x, t, context, num_video_frames=FRAMES)

    def with_residuals(scale: float) -> torch.Tensor:
        residuals = {
            "middle": [torch.full(shapes.middle, scale)],
            "output": [torch.full(shape, scale) for shape in reversed(skips)],
        }
        out = unet(x, t, context, control=residuals, num_video_frames=FRAMES)
        assert residuals == {"middle": [], "output": []}
        return out

    return {"zero": difference(plain, with_residuals(0.0)), "some": difference(plain, with_residuals(0.5))}


def mask_from_latent(fixture: Fixture) -> dict[str, float]:
    """A mask on the sampler keeps the latent's own frames: the same clip as through the conditioning."""
    mask = fixture.mask.view(-1, 1, 1).expand(-1, SIZE * 8, SIZE * 8)
    gray = torch.tensor(fixture.model.model.gray_latent).view(1, 4, 1, 1) / 0.18215
    kept = torch.where(fixture.mask.view(-1, 1, 1, 1) < 0.5, fixture.latents, gray)
    through_conditioning = fixture.sample(conds=fixture.conditioned(latents=kept))
    own = {"latent": {"samples": fixture.latents}, "mask": mask}
    return {
        "difference": difference(through_conditioning, fixture.sample(**own, conds=fixture.prompts)),
        "overrides conditioning": difference(through_conditioning, fixture.sample(**own)),
        "half denoised": difference(through_conditioning, fixture.sample(**own, conds=fixture.prompts, denoise=0.5)),
    }


def second_pass(fixture: Fixture) -> dict[str, Any]:
    """The same conditioning at another resolution: keyframes are resized with the latent."""
    larger = {"samples": torch.randn(FRAMES, 4, SIZE + 4, SIZE + 4)}
    return {"shape": list(fixture.sample(latent=larger, denoise=0.5).shape)}


def errors(fixture: Fixture) -> dict[str, str]:
    def message(action: Callable[[], Any]) -> str:
        try:
            action()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "no error"

    keyframed = fixture.conditioned()[0]
    wide = [[torch.randn(1, 77, 1024), {}]]
    short = {"samples": torch.zeros(FRAMES - 3, 4, SIZE, SIZE)}
    mask = fixture.mask.view(-1, 1, 1).expand(-1, 64, 64)
    partly = mask.clone()
    partly[0, :9] = 1
    euler = comfy.samplers.sampler_object("euler")
    sigmas = sampling.seine_sigmas(fixture.model, 3)

    foreign, longer = (
        keyframes.attach(fixture.prompts[1], torch.ones(len(gray)), gray)
        for gray in (fixture.latents, fixture.latents.repeat(2, 1, 1, 1))
    )
    return {
        "foreign negative": message(lambda: fixture.sample(conds=[keyframed, foreign])),
        "foreign negative, stock sampler": message(
            lambda: comfy.sample.sample_custom(
                *(fixture.model, torch.randn(FRAMES, 4, SIZE, SIZE), 5.0, euler, sigmas, keyframed, foreign),
                torch.zeros(FRAMES, 4, SIZE, SIZE),
                disable_pbar=True,
            )
        ),
        "foreign negative, two clips": message(
            lambda: fixture.sample(
                latent=fixture.empty(2 * FRAMES),
                conds=[keyframes.attach(fixture.prompts[0], torch.ones(FRAMES), fixture.latents), longer],
            )
        ),
        "foreign negative unused": message(lambda: fixture.sample(conds=[keyframed, foreign], cfg=1.0)),
        "text width": message(lambda: fixture.sample(conds=[wide, wide])),
        "frames of conditioning": message(lambda: fixture.sample(latent=short)),
        "frames of mask": message(lambda: fixture.sample(latent=short, conds=fixture.prompts, mask=mask)),
        "partial mask": message(lambda: fixture.sample(conds=fixture.prompts, mask=partly)),
        "other model": message(lambda: fixture.sample(model=SimpleNamespace(model=object()))),
        "one step": message(lambda: fixture.sample(steps=1)),
        "five-dimensional latent": message(lambda: fixture.sample(latent={"samples": torch.zeros(1, 4, 8, 8, 8)})),
    }


CHECKS: dict[str, Callable[[Fixture], dict[str, Any]]] = {
    check.__name__: check
    for check in (
        *(repeats, two_videos, guidance_halves, lora, patches, control, mask_from_latent),
        *(second_pass, errors),
    )
}
