"""How near the imagined step comes to this machine's peak, and where its time goes: policy, sampling, decoding, reward.

`roofline_fraction` counts the transformer's matmuls alone, over the time of its whole forward pass and the peak that a
plain float32 matmul reaches in the same turn.
"""

from __future__ import annotations

import numpy as np
import torch
from timing import Figure, flops, in_turns, matmul

from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.types import CHUNK, NOOP
from wovr_lab.world.model import FUTURE, WorldModel

TASK, TEMPERATURE = "push_red", 1.2


def actors(world: WorldModel) -> tuple[VLAPolicy, SuccessClassifier]:
    """A policy and a reward of the demo's sizes; untrained, since speed does not depend on weights."""
    size, words = world.codec.config.resolution, [initial_start(TASK, 0).instruction]
    tokenizer = build_tokenizer(words)
    policy = VLAPolicy.create(VLAConfig(resolution=size, vocab_size=len(tokenizer)), tokenizer, 0).eval()
    return policy, SuccessClassifier(words, size).eval()


def roofline(world: WorldModel, batch: int, turns: int) -> list[Figure]:
    """The figures of one batch size."""
    policy, reward = actors(world)
    start = initial_start(TASK, 0, world.codec.config.resolution)
    context, observation = world.initial_context([start] * batch), {"frame": np.stack([start.anchor] * batch)}
    words, chunk = (start.instruction,) * batch, torch.as_tensor(NOOP).expand(batch, CHUNK, -1)
    generator, generators = torch.Generator(), [torch.Generator() for _ in range(batch)]
    noise = torch.randn(batch, world.codec.latent_shape[0], FUTURE, *world.codec.latent_shape[1:])
    latents, sigma = noise.transpose(1, 2).flatten(0, 1).contiguous(), torch.ones(batch)
    frames = np.zeros((batch, CHUNK, *start.anchor.shape), np.uint8)

    def step() -> None:
        policy.act(observation, words, generator, TEMPERATURE)
        reward.probability(world.imagine(context, chunk, generators).frames, words)

    peak, peak_flops = matmul()
    parts = {
        "policy": lambda: policy.act(observation, words, generator, TEMPERATURE),
        "sampling": lambda: world.imagine_latents(context, chunk, noise),
        "decoding": lambda: world.codec.decode(latents),
        "reward": lambda: reward.probability(frames, words),
    }
    forward = lambda: world.velocity(context, noise, sigma, chunk)  # noqa: E731
    seconds = in_turns({"peak": peak, "forward": forward, "step": step, **parts}, turns)
    of_forward, setting = flops(forward), f"batch_{batch}"
    pairs = list(zip(seconds["forward"], seconds["peak"], strict=True))
    found = {
        "roofline_fraction": [of_forward / one / (peak_flops / top) for one, top in pairs],
        "frames_per_second": [batch * CHUNK / whole for whole in seconds["step"]],
        "flops_per_frame": [flops(step) / (batch * CHUNK)],
        "achieved_flops": [of_forward / one for one, _ in pairs],
        "peak_flops": [peak_flops / top for _, top in pairs],
    }
    for name in parts:
        found[f"share_{name}"] = [p / whole for p, whole in zip(seconds[name], seconds["step"], strict=True)]
    return [Figure(setting, metric, tuple(values)) for metric, values in found.items()]
