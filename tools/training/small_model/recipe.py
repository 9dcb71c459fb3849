"""How the shipped small model is made: VAE, text encoder, encoded clips, UNet, one file. Each stage resumes.

`make(folder, tokenizer_folder, target)` does all of it. A stage whose file in `folder` is complete is not repeated.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from seine_model import SeineConfig, SeineUNet3D
from seine_model.base import TEXT_ENCODER_HEADS_KEY, TEXT_MODEL_PREFIX
from seine_model.checkpoint import (
    CONFIG_KEY,
    GRAY_LATENT_KEY,
    LATENT_RGB_KEY,
    UNET_PREFIX,
    VAE_PREFIX,
    stored_dtype,
)
from tools.training.batches import Noising, Weighting
from tools.training.initialisation import initialise
from tools.training.latent_clips import LatentClips
from tools.training.made_from import fingerprint
from tools.training.progress import draw_losses, progress
from tools.training.trainer import Phase, Trainer, TrainingOptions

from . import autoencoder as vae
from . import text_encoder as text
from . import world
from .fitting import Fit, fit
from .pictures import crops
from .strips import sample_strip

SEED = 0
CONFIG = SeineConfig(
    block_out_channels=(64, 64, 64, 64),
    layers_per_block=1,
    attention_head_dim=1,
    cross_attention_dim=text.WIDTH,
    norm_num_groups=8,
)
VAE_FITS = {
    # Close-ups are simple; whole frames come when there is something to refine.
    2 * world.SIZE: Fit(steps=6000, learning_rate=1.5e-3, warmup=200, beta2=0.99, weight_decay=1e-4),
    world.SIZE: Fit(steps=2400, learning_rate=8e-4, warmup=50, beta2=0.99, weight_decay=1e-4),
}
"""How the VAE is trained, on crops of SIZE pixels of frames that are so large."""
VAE_BATCH = 16
LATENT_DEVIATION = 4.0
"""Standard deviation of the latents the UNet sees. SEINE's schedule drowns them in noise early, as suits large
pictures; ours are 16 x 16, and louder they get the signal-to-noise ratios of large ones (Chen, arXiv 2301.10972)."""
TEXT_FIT = Fit(steps=600, learning_rate=3e-3, warmup=50)
CLIPS = 6000
"""Seeds 0 to 5999 of the world; held-out scenes have seeds from `HELD_OUT` on."""
TEXTS_AT_ONCE = 64
HELD_OUT = 10**9
# Above `most` the noise leaves only the mean to be learned, and its errors outweigh shapes and words.
LOOKS = Noising(Weighting(signal_std=LATENT_DEVIATION, most=20.0), noisiest=0.2)
# Which way things move is decided at the noisiest timesteps, by the words alone. And given frames are to be repeated
# exactly.
CLIPS_ASKED_FOR = Noising(Weighting(signal_std=LATENT_DEVIATION, most=400.0, given=10.0), noisiest=0.4)
UNET = TrainingOptions(
    # Single frames are cheap and teach looks and words; whole clips teach motion.
    phases=(
        Phase(steps=800, videos=256, frames=1, noising=LOOKS),
        Phase(steps=3600, videos=64, frames=world.FRAMES, noising=CLIPS_ASKED_FOR, text_alone=0.45),
    ),
    learning_rate=4e-3,
    muon=True,
    mixed_precision=False,
    replayed=True,
    seed=SEED,
)
SAVE_EVERY, STRIP_EVERY = 100, 1000


def make(folder: Path, tokenizer_folder: Path, target: Path, device: str = "cpu") -> None:
    """Train what is missing in `folder` and write the bundle `target`."""
    folder.mkdir(parents=True, exist_ok=True)
    autoencoder, vae_losses = train_autoencoder(folder / "autoencoder.pt")
    reader, text_losses = train_text_encoder(folder / "text_encoder.pt", text.Tokenizer(tokenizer_folder))
    clips_file = folder / "clips.safetensors"
    if not clips_file.exists():
        encode_world(autoencoder, reader, text.Tokenizer(tokenizer_folder), CLIPS, device).save(clips_file)
    clips = clips_of(clips_file, autoencoder, reader, text.Tokenizer(tokenizer_folder))

    def show(step: int, weights: dict[str, Tensor]) -> None:
        sample_strip(unet_of(weights), autoencoder, clips, folder / f"strip-{step:05d}.png")

    weights, unet_losses = train_unet(clips, UNET, folder / "unet.pt", device, show)
    draw_losses({"VAE": vae_losses, "text encoder": text_losses, "UNet": unet_losses}, folder / "losses.png")
    write_bundle(target, weights, reader, autoencoder)


def train_autoencoder(state: Path) -> tuple[vae.Autoencoder, list[float]]:
    torch.manual_seed(SEED)
    module = vae.Autoencoder().to(memory_format=torch.channels_last)

    def loss(step: int, whole: int) -> Tensor:
        pictures = crops(step, VAE_BATCH, world.SIZE, whole).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            return vae.autoencoder_loss(module, pictures, torch.Generator().manual_seed(step))

    losses = []
    for whole, plan in VAE_FITS.items():
        stage = state.with_stem(f"{state.stem}-{whole}")
        losses += fit(f"VAE at {whole} pixels", module, partial(loss, whole=whole), plan, stage)
    module.eval().requires_grad_(False)
    module.unit.fill_(float(module.encode(_some_frames()).std()) / LATENT_DEVIATION)
    return module, losses


def train_text_encoder(state: Path, tokenizer: text.Tokenizer) -> tuple[text.Reader, list[float]]:
    torch.manual_seed(SEED)
    reader = text.Reader()
    losses = fit("text encoder", reader, lambda step: text.text_loss(reader, tokenizer, step), TEXT_FIT, state)
    return reader.eval().requires_grad_(False), losses


def encode_world(
    autoencoder: vae.Autoencoder, reader: text.Reader, tokenizer: text.Tokenizer, count: int, device: str = "cpu"
) -> LatentClips:
    """The first `count` scenes of the world, encoded on the device; the clips are on the CPU."""
    scenes = [world.scene(seed) for seed in range(count)]
    encoder = copy.deepcopy(autoencoder.taesd_encoder).to(device, memory_format=torch.channels_last)
    latents, contexts = [], []
    with torch.inference_mode():
        for scene in tqdm(scenes, desc="encoding clips", unit="clip"):
            with torch.device(device):
                frames = world.render(scene)
            frames = frames.contiguous(memory_format=torch.channels_last)
            latents.append((encoder(frames) / autoencoder.unit.to(device)).half())
        reading = copy.deepcopy(reader.encoder).to(device)
        for start in range(0, count, TEXTS_AT_ONCE):
            tokens = tokenizer([scene.caption for scene in scenes[start : start + TEXTS_AT_ONCE]])
            contexts.append(reading(tokens.to(device)).last_hidden_state.half().cpu())
        empty = reader.encoder(tokenizer([""])).last_hidden_state[0]
    made_from = {"VAE and text encoder": fingerprint(autoencoder.state_dict()) + fingerprint(reader.state_dict())}
    return LatentClips(torch.stack(latents).cpu(), torch.cat(contexts), gray_latents(autoencoder), empty, made_from)


@torch.no_grad()
def clips_of(file: Path, autoencoder: vae.Autoencoder, reader: text.Reader, tokenizer: text.Tokenizer) -> LatentClips:
    """The encoded clips of a file. Raises ValueError for those that another VAE or text encoder encoded."""
    clips = LatentClips.load(file)
    empty = reader.encoder(tokenizer([""])).last_hidden_state[0]
    pairs = (clips.gray, gray_latents(autoencoder)), (clips.empty_context, empty)
    if not all(torch.allclose(stored, own, atol=0.05) for stored, own in pairs):
        raise ValueError(f"{file} is of another model: delete it, or choose another --folder")
    return clips


def train_unet(
    clips: LatentClips,
    options: TrainingOptions,
    state: Path,
    device: str,
    show: Callable[[int, dict[str, Tensor]], None],
) -> tuple[dict[str, Tensor], list[float]]:
    """The averaged weights and all losses; `show(step, weights)` is called now and then."""
    torch.set_float32_matmul_precision(
        "high"
    )  # TF32 on a card: as fast there as bfloat16, with rounding an eighth of it
    unet = SeineUNet3D(CONFIG)
    initialise(unet, options.seed)
    trainer = Trainer(unet.to(device, memory_format=torch.channels_last), clips.to(device), options)
    if state.exists():
        trainer.resume(state)
    steps = progress(trainer.run(), "UNet", trainer.step, options.steps, lambda: trainer.losses[-1:])
    for _ in steps:
        if trainer.step % SAVE_EVERY == 0 or trainer.step == options.steps:
            trainer.save(state)
        if trainer.step % STRIP_EVERY == 0 or trainer.step == options.steps:
            show(trainer.step, trainer.ema)
    return trainer.ema, trainer.losses


def unet_of(weights: dict[str, Tensor]) -> SeineUNet3D:
    """The small UNet with these weights, for inference."""
    unet = SeineUNet3D(CONFIG)
    unet.load_state_dict(weights)
    return unet.eval().requires_grad_(False)


def write_bundle(target: Path, unet: dict[str, Tensor], reader: text.Reader, autoencoder: vae.Autoencoder) -> None:
    """One .safetensors file in half precision, laid out as any SEINE bundle."""
    tensors = {UNET_PREFIX + key: value for key, value in unet.items()}
    tensors |= {TEXT_MODEL_PREFIX + key: value for key, value in text.stored_weights(reader.encoder).items()}
    tensors |= {VAE_PREFIX + key: value for key, value in vae.stored_weights(autoencoder).items()}
    gray = gray_latents(autoencoder)[1, :, 0, 0].tolist()
    metadata = {
        CONFIG_KEY: json.dumps(CONFIG.to_dict()),
        TEXT_ENCODER_HEADS_KEY: str(text.HEADS),
        GRAY_LATENT_KEY: _rounded(gray),
        LATENT_RGB_KEY: _rounded(latent_rgb(autoencoder)),
    }
    stored = {key: value.cpu().to(stored_dtype(key, value, torch.float16)) for key, value in tensors.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in stored.items()}, target, metadata)


def gray_latents(autoencoder: vae.Autoencoder) -> Tensor:
    """Mid-gray encoded at the world's size, and the value away from the borders everywhere. [2, 4, h, w]

    The second is what a host has that was given the checkpoint but no VAE (see `seine_gray_latent`).
    """
    encoded = autoencoder.encode(torch.full((1, 3, world.SIZE, world.SIZE), 0.5))[0]
    middle = encoded.shape[-1] // 2
    return torch.stack((encoded, encoded[:, middle, middle].reshape(-1, 1, 1).expand_as(encoded)))


def latent_rgb(autoencoder: vae.Autoencoder) -> list[list[float]]:
    """Colours of the latents for previews (see LATENT_RGB_KEY): the least squares fit on frames of the world."""
    frames = _some_frames()
    latents = autoencoder.encode(frames).movedim(1, -1).flatten(0, -2)
    colours = F.avg_pool2d(frames, 8).movedim(1, -1).flatten(0, -2) * 2 - 1
    return torch.linalg.lstsq(F.pad(latents, (0, 1), value=1.0), colours).solution.tolist()


def _some_frames() -> Tensor:
    return torch.cat([world.render(world.scene(seed), frames=4) for seed in range(64)])


def _rounded(values: object) -> str:
    """JSON of nested lists of numbers, with four digits."""
    return json.dumps(json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 4)))
