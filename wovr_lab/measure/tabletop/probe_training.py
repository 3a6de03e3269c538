"""How state probes learn: real frames of play and of noisy experts with their exact simulator states, nothing imagined.

In: counts and a seed; none of it is charged to a run. Out: a probe folder with its provenance (`probe.json`) and its
error in centimetres on episodes that it has not seen. Pictures are dimmed, blurred and made noisy at random, so that
the probe stays sensible on imagined frames, which are softer than real ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.fields import Count, NonNegative, Range, Share, configuration
from wovr_lab.measure.tabletop.probes import StateProbe, error_cm, read_states
from wovr_lab.outputs import claim_folder, replacing
from wovr_lab.pixels import to_float
from wovr_lab.real.env import TRAINING_SEEDS
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.play import play_episodes
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.runs import write_json
from wovr_lab.seeding import seed_of, stream, torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import Episode

HELD_OUT = 500_000  # number of the first episode that no probe learns from
NOISES = (0.1, 0.4, 0.8)  # of experts: the more noise, the further the hand strays, as a policy's does


@configuration
class ProbeTrainingConfig:
    """How many episodes, how long, and how much pictures are augmented."""

    episodes: Annotated[int, Range(3)] = 1800  # two thirds play, one third noisy experts
    held_out: Annotated[int, Range(3)] = 120
    resolution: Annotated[int, Range(8, 4096)] = 32
    fit: FitConfig = field(default_factory=lambda: FitConfig(3000, 2e-3))
    batch: Count = 64
    brightness: NonNegative = 0.06
    blur: Share = 0.7  # most weight of the 3 x 3 mean, in half of the pictures
    noise: NonNegative = 0.06


@dataclass(frozen=True)
class ProbeData:
    """Frames with what they show."""

    frames: np.ndarray  # uint8 [F, H, W, 3]
    readouts: np.ndarray  # float32 [F, 10], metres

    @classmethod
    def of(cls, episodes: Iterable[Episode]) -> ProbeData:
        """Raises UserError if there are no episodes or if one lacks simulator states."""
        episodes = list(episodes)
        if not episodes or any(episode.states is None for episode in episodes):
            raise UserError("probes learn from episodes with simulator states; give some that recorded them")
        states = np.concatenate([episode.states for episode in episodes])
        return cls(np.concatenate([episode.frames for episode in episodes]), read_states(states))


def practice(count: int, run_seed: int, first_index: int, resolution: int) -> Iterator[Episode]:
    """`count` real episodes, two thirds play, one third noisy experts at all tasks, numbered from `first` on."""
    experts = count // 3
    yield from play_episodes(count - experts, run_seed, first_index, resolution)
    tasks = list(TASKS)
    for number in range(first_index, first_index + experts):
        seed = seed_of(run_seed, "probe start", number) % TRAINING_SEEDS
        task, noise = tasks[number % len(tasks)], NOISES[number // len(tasks) % len(NOISES)]
        own_noise = seed_of(run_seed, "probe expert")  # never an expert's episode of a run
        yield from expert_episodes(
            task, [seed], noise, hold_after_success=12, resolution=resolution, run_seed=own_noise
        )


class ProbeLoss(nn.Module):
    """Smooth L1 on read-outs in units of their deviations, so that hidden cubes do not dominate."""

    def __init__(self, probe: StateProbe):
        super().__init__()
        self.probe = probe

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """`pictures` [B, 3, H, W], `readouts` [B, 10] in metres."""
        wanted = (batch["readouts"] - self.probe.mean) / self.probe.scale
        return F.smooth_l1_loss(self.probe(batch["pictures"]), wanted, beta=0.1), {}


def train_probe(probe: StateProbe, data: ProbeData, config: ProbeTrainingConfig, run_seed: int) -> StateProbe:
    """Trains the probe in place."""
    probe.mean.copy_(torch.as_tensor(data.readouts.mean(0)))
    probe.scale.copy_(torch.as_tensor(data.readouts.std(0)).clamp_min(1e-4))

    def batch_at(step: int) -> dict[str, Tensor]:
        index = stream(run_seed, "probe", step).integers(len(data.frames), size=config.batch)
        pictures = augmented(to_float(data.frames[index]), config, torch_stream(run_seed, "probe", step))
        return {"pictures": pictures, "readouts": torch.as_tensor(data.readouts[index])}

    fit(ProbeLoss(probe), batch_at, config.fit, "probe")
    return probe.eval()


def augmented(pictures: Tensor, config: ProbeTrainingConfig, generator: torch.Generator) -> Tensor:
    """Pictures [B, 3, H, W] brighter or darker, half of them blurred, all a little noisy."""

    def each(kind: str) -> Tensor:
        make = torch.randn if kind == "normal" else torch.rand
        return make(len(pictures), 1, 1, 1, generator=generator)

    pictures = pictures * (1 + config.brightness * each("normal")) + config.brightness * each("normal")
    blur = config.blur * each("uniform") * (each("uniform") < 0.5)
    pictures = torch.lerp(pictures, F.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False), blur)
    return pictures + config.noise * each("uniform") * torch.randn(pictures.shape, generator=generator)


def probe_errors(found: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, float]]:
    """Median and 90th percentile of the distance in centimetres, by what is read. Raises UserError without frames."""
    if not found.size:
        raise UserError("there are no frames to test probes on; give episodes with simulator states")
    errors = error_cm(found, truth)
    return {
        name: {"median_cm": float(np.median(e)), "p90_cm": float(np.percentile(e, 90)), "n": int(e.size)}
        for name, e in errors.items()
    }


def make_probe(out: Path, config: ProbeTrainingConfig, run_seed: int) -> dict[str, Any]:
    """Collects, trains, tests and saves a probe with its provenance, which it returns. Raises UserError first if `out`
    holds anything but a probe."""
    out = claim_folder(out, StateProbe.__name__)
    data = ProbeData.of(practice(config.episodes, run_seed, 0, config.resolution))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(run_seed, "probe"))
        probe = StateProbe(config.resolution)
    train_probe(probe, data, config, run_seed)
    test = ProbeData.of(practice(config.held_out, run_seed, HELD_OUT, config.resolution))
    provenance = {
        "command": f"wovr-lab train-probe --out {out} --seed {run_seed} --episodes {config.episodes} "
        f"--steps {config.fit.steps} --resolution {config.resolution}",
        "config": asdict(config),
        "frames": len(data.frames),
        "held_out": probe_errors(probe.read(test.frames), test.readouts),
        "torch": torch.__version__,
    }
    with replacing(out, StateProbe.__name__) as partial:
        probe.save(partial)
        write_json(partial / "probe.json", provenance)
    return provenance
