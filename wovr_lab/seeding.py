"""Named, reproducible random streams: the same (run seed, names) always gives the same numbers, whatever ran before.

Nothing in wovr_lab reads global random state. Names may be strings or integers: stream(0, "collect", episode).
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def seed_of(run_seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream of that name."""
    plain = [name if isinstance(name, str) else int(name) for name in names]  # NumPy's integers are the same stream
    digest = hashlib.blake2b(repr((int(run_seed), *plain)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def stream(run_seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream of that name."""
    return np.random.default_rng(seed_of(run_seed, *names))


def torch_stream(run_seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator for the stream of that name."""
    return torch.Generator(device=device).manual_seed(seed_of(run_seed, *names))
