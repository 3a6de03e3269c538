"""What `test_wires` chooses: for every setting a value that smoke does not have; and what it does not follow."""

from __future__ import annotations

from typing import Any

from wovr_lab.pace.settings import flattened

CHOICES: dict[str, Any] = flattened(
    {
        "seed": 3,
        "tasks": ["push_blue", "green_on_plate"],
        "resolution": 48,
        "max_steps": 40,
        "data": {
            "demonstrations": 3,
            "demonstration_noise": 0.17,
            "examples": 4,
            "rollouts": 4,
            "rollout_temperatures": [0.9, 1.3],
            "gate_episodes": 2,
            "gate_groups": 3,
            "play": 3,
            "imagined_actions": 2,
            "imagined_actions_weight": 1.4,
            "hold_after_success": 3,
            "budget": 777,
        },
        "imitation": {
            "policy": {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3},
            "training": {
                "batch": 11,
                "shift": 1,
                "contrast": 0.12,
                "brightness": 0.06,
                "rotation_weight": 0.21,
                "fit": {"learning_rate": 1.1e-3},
            },
        },
        "reward": {
            "training": {
                "batch": 25,
                "frame_noise": 0.05,
                "shift": 2,
                "newest": 0.4,
                "fit": {"learning_rate": 1.2e-3},
            },
            "refresh": {
                "batch": 13,
                "frame_noise": 0.08,
                "shift": 3,
                "newest": 0.3,
                "fit": {"learning_rate": 1.3e-3},
            },
        },
        "world": {
            "size": {
                "num_attention_heads": 3,
                "attention_head_dim": 12,
                "ffn_dim": 48,
                "num_layers": 2,
                "codec_width": 24,
                "latent_channels": 6,
                "patch_size": [1, 2, 2],
            },
            "codec": {"batch": 9, "latent_noise": 0.07, "fit": {"learning_rate": 1.5e-3}},
            "training": {
                "batch": 6,
                "self_forcing": [0.4, 0.6],
                "ramp": 0.5,
                "self_forcing_steps": 3,
                "motion_weight": 3.3,
                "pure_noise": 0.35,
                "fit": {"learning_rate": 1.6e-3},
            },
            "refinement": {
                "batch": 5,
                "self_forcing": [0.3, 0.7],
                "ramp": 0.7,
                "self_forcing_steps": 4,
                "motion_weight": 3.4,
                "pure_noise": 0.45,
                "fit": {"learning_rate": 1.7e-3},
            },
            "refresh": {
                "batch": 7,
                "self_forcing": [0.2, 0.8],
                "ramp": 0.9,
                "self_forcing_steps": 2,
                "motion_weight": 3.5,
                "pure_noise": 0.55,
                "fit": {"learning_rate": 1.4e-3},
            },
            "context": {"anchor": False, "memory": 1, "noise": 0.13},
            "sampler_steps": 5,
            "imagined_rows": 5,
        },
        "gate": {"precision": 0.71, "precision_low": 0.41, "correlation": 0.22, "reward_correlation": 0.33},
        "rl": {
            "groups": 3,
            "group_size": 3,
            "max_resamples": 3,
            "temperature": 0.7,
            "noise": {"kind": "IndependentNoise"},
            "learning_rate": 3.1e-4,
            "warmup_iterations": 2,
            "final_fraction": 0.3,
            "epochs": 3,
            "minibatch": 5,
            "clip_low": 0.11,
            "clip_high": 0.33,
            "max_gradient_norm": 0.77,
            "reward_coefficient": 1.9,
            "gamma": 0.97,
            "iterations": [1, 2],
            "mask": {"kind": "NoMask"},
            "normaliser": {"kind": "MeanBaseline"},
            "dual_clip": {"kind": "DualClip", "limit": 5.0},
            "kl_coef": 0.3,
            "keyframe_share": 0.9,
            "keyframe_steps": 16,
            "filtered_bc": {
                "training": {
                    "batch": 3,
                    "shift": 3,
                    "contrast": 0.14,
                    "brightness": 0.07,
                    "rotation_weight": 0.23,
                    "fit": {"learning_rate": 1.8e-3},
                },
                "in_imagination": False,
                "after_last_round": False,
            },
            "monitor": {"every": 2, "starts": 3, "act_in_real": True, "weight": 1.7, "only_reports": False},
            "refinement_rollouts": 3,
        },
        "evaluation": {"starts": 3, "check_every": 1, "check_starts": 3, "confusion_rollouts": 3},
    }
)

# Settings that no wire of `test_wires` follows, and why.
ELSEWHERE = {
    "scale": "names the preset, by which results are pooled",
    "world.backbone": "weights of its own, which tests/pace/test_pixel_loop.py begins with",
    "gate.only_reports": "refused here, RL would not start; a test of its own asks the gate with and without",
}
