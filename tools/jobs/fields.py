"""What a row may say: its keys, kinds and choices."""

from __future__ import annotations

TEMPLATES = {
    "image_to_video": "image_to_video",
    "transition": "transition",
    "text_to_video": "text_to_video",
    "extend": "extend_video",
    "story": "story",
    "loop": "loop",
}
"""The workflow of workflows/api that each kind is made by; what a row leaves out is as it is there."""
FIELDS = (
    *("id", "kind", "images", "prompt", "negative", "seed", "width", "height", "frames", "steps", "cfg"),
    *("sampler", "scheduler", "format", "mask", "resize_mode"),
)
FORMATS = ("mp4", "webm", "webp", "gif")
RESIZE_MODES = ("crop", "pad", "stretch")
FPS = 8
FIRST_CLIP = 16
"""Frames of the clip that a film of extend or loop begins with."""
FEWEST_STEPS = {"seine": 2}
"""By scheduler: SEINE's visits the first timestep and the last."""
MOST_SEED = 2**64 - 1
SAMPLERS = (
    *("ddim", "seine_ddpm", "euler", "euler_cfg_pp", "euler_ancestral", "euler_ancestral_cfg_pp", "heun", "heunpp2"),
    *("exp_heun_2_x0", "exp_heun_2_x0_sde", "dpm_2", "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive"),
    *("dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_sde_gpu", "dpmpp_2m", "dpmpp_2m_cfg_pp"),
    *("dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde"),
    *("dpmpp_3m_sde_gpu", "ddpm", "lcm", "ipndm", "ipndm_v", "deis", "res_multistep", "res_multistep_cfg_pp"),
    *("res_multistep_ancestral", "res_multistep_ancestral_cfg_pp", "gradient_estimation", "gradient_estimation_cfg_pp"),
    *("er_sde", "seeds_2", "seeds_3", "sa_solver", "sa_solver_pece", "uni_pc", "uni_pc_bh2"),
)
SCHEDULERS = (
    *("seine", "normal", "simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta"),
    *("linear_quadratic", "kl_optimal"),
)
"""SEINE's and ComfyUI's, since a dry run asks no host; a test holds them beside a host's own."""
