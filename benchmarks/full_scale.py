"""Prints what the paper's own models take of GPUs, from their published sizes; nothing is downloaded or stored."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLWan

from wovr_lab.policy.openvla import OpenVLAConfig, OpenVLAPolicy
from wovr_lab.published import gpu_memory_of
from wovr_lab.world.transformer import ActionWanTransformer
from wovr_lab.world.wan import TI2V_5B, VAE_2_2


def main() -> None:
    """One line a model; activations come on top."""
    with torch.device("meta"):
        models = {
            "Wan2.2-TI2V-5B with action channels": ActionWanTransformer(**TI2V_5B),
            "Wan2.2 VAE (not trained)": AutoencoderKLWan(**VAE_2_2),
            "OpenVLA-OFT": OpenVLAPolicy(OpenVLAConfig()),
        }
    for name, model in models.items():
        memory = gpu_memory_of(model)
        print(
            f"{name:38} {memory.parameters / 1e9:5.2f} B parameters   {memory.inference:5.1f} GB of weights   "
            f"{memory.training:6.1f} GB in training (AdamW, bfloat16), over all GPUs"
        )


if __name__ == "__main__":
    main()
