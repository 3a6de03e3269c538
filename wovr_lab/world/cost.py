"""What a world model costs, computed from its configuration before one is built (paper section 2).

In: an `ActionWanTransformer`'s settings and the side of its latents. Out: parameters, operations, bytes. All of it is
counted on torch's meta device, which knows shapes and holds no numbers, by running the model's own forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from wovr_lab.published import GpuMemory
from wovr_lab.types import ACTION_DIM, CHUNK, MEMORY
from wovr_lab.world.model import FUTURE
from wovr_lab.world.transformer import ActionWanTransformer

LATENTS = 2 + FUTURE  # anchor, memory, future
BACKWARD = 2  # forward passes that a backward pass costs


@dataclass(frozen=True)
class Cost:
    """Cost of one window: a chunk of 8 frames with its context, in one forward pass."""

    parameters: int
    tokens: int
    flops: int  # multiplications and additions, two for each pair
    saved: int  # numbers that the backward pass needs, without recomputation

    def imagining(self, steps: int) -> float:
        """Operations a frame with this many sampler steps; decoding comes on top."""
        return steps * self.flops / CHUNK

    def training(self, windows: int) -> float:
        """Operations of training on this many windows."""
        return (1 + BACKWARD) * self.flops * windows

    def gigabytes(self, optimiser: bool, windows: int, devices: int = 1) -> float:
        """On each of `devices` that share weights, gradients and optimiser (FSDP), `windows` on each of them; 2 bytes a
        saved number."""
        memory = GpuMemory(self.parameters)
        fixed = memory.training if optimiser else memory.inference
        return fixed / devices + (2 * self.saved * windows / 1e9 if optimiser else 0)


def cost_of(settings: dict[str, Any], side: int) -> Cost:
    """Cost of a transformer with these settings on latents of `side` x `side`."""
    with torch.device("meta"):
        return count(ActionWanTransformer(**settings), side)


def count(model: ActionWanTransformer, side: int) -> Cost:
    """Cost of a model that exists, on whatever device it is."""
    config, device = model.config, model.device
    tokens = LATENTS // config.patch_size[0] * (side // config.patch_size[1]) ** 2
    latents = torch.zeros(1, config.in_channels, LATENTS, side, side, device=device)
    times, actions = (
        torch.zeros(1, tokens, device=device),
        torch.zeros(1, 1 + MEMORY + CHUNK, ACTION_DIM, device=device),
    )
    kept: dict[int, int] = {}
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes() // tensor.element_size()
            held.append(tensor)  # so that no other storage takes its place
        return tensor

    held: list[torch.Tensor] = []
    # the counter does not know the CPU's fused attention; unfused, it is two matmuls, which it does
    unfused, hooks = sdpa_kernel(SDPBackend.MATH), saved_tensors_hooks(keep, lambda tensor: tensor)
    with FlopCounterMode(display=False) as counter, unfused, hooks:
        model(latents, times, actions, return_dict=False)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, tokens, counter.get_total_flops(), sum(kept.values()))
