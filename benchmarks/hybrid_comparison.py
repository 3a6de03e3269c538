"""The world model's yardstick: a deterministic hybrid of convolutions and transformer, which predicts pixels in one
step, trained on the backbone's play, fine-tuned as a run's world model was, and held to the same gate.

    python benchmarks/hybrid_comparison.py runs/demo --steps 3000 --write

Both models imagine the gate's held-out episodes with their own actions, and that run's reward judges both. With
`--write` the rows become data/results/yardstick.json.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.measure.gate import evaluate_gate
from wovr_lab.measure.hallucination import psnr_by_horizon, replay_in_imagination
from wovr_lab.pace.data import TRAINING, gate_stores, store
from wovr_lab.pace.scales import config_of
from wovr_lab.pace.stages import Run, enter_run
from wovr_lab.pixels import to_float, to_uint8
from wovr_lab.publish.results import provenance
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import Metrics, load_into, load_tensors, save_tensors, write_json
from wovr_lab.seeding import stream, torch_stream
from wovr_lab.training import FitConfig, fit
from wovr_lab.types import CHUNK, MEMORY
from wovr_lab.world.codec import FRAMES_PER_LATENT
from wovr_lab.world.context import Context
from wovr_lab.world.model import FUTURE, WorldModel
from wovr_lab.world.pretraining import collect_in_batches
from wovr_lab.world.training import WorldTrainingConfig
from wovr_lab.world.windows import FrameTable

CONTEXT_NOISE = 0.06  # standard deviation of the noise on the memory in training, pixels in [-1, 1]
CLEARLY = 0.2  # a pixel that differs by so much from the background or the latest frame matters


class PixelGroups:
    """In place of a codec: four frames are their own latent [12, H, W], pixels in [-1, 1]."""

    def __init__(self, resolution: int):
        self.config = SimpleNamespace(resolution=resolution)
        self.latent_shape = (FRAMES_PER_LATENT * 3, resolution, resolution)

    def encode(self, frames: np.ndarray | Tensor) -> Tensor:
        return to_float(frames).flatten(1, 2)

    def decode(self, latents: Tensor) -> np.ndarray:
        return to_uint8(latents.unflatten(1, (FRAMES_PER_LATENT, 3)))


class Hybrid(nn.Module):
    """Convolutional stem and head around transformer blocks on 64 image and 8 action tokens; every predicted frame is a
    mixture of the latest one and the background, plus what is new."""

    def __init__(self, background: Tensor, width: int = 160, layers: int = 4, stem: int = 48, head: int = 96):
        super().__init__()
        side = background.shape[-1]
        self.register_buffer("background", background)
        line = torch.linspace(-1, 1, side)
        self.register_buffer("places", torch.stack(torch.meshgrid(line, line, indexing="ij")), persistent=False)
        self.enter = nn.Conv2d(3 + 3 * FRAMES_PER_LATENT + 2, stem, 4, 2, 1)
        self.told = nn.Sequential(nn.Linear(14 * CHUNK, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
        self.refine = ResnetBlock2D(in_channels=stem, temb_channels=width, groups=8, time_embedding_norm="scale_shift")
        self.down = nn.Conv2d(stem, width, 3, 2, 1)
        self.position = nn.Parameter(0.02 * torch.randn(1, (side // 4) ** 2 + CHUNK, width))
        self.action_token = nn.Linear(14, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(
            BasicTransformerBlock(
                width, 5, width // 5, activation_fn="gelu-approximate", norm_type="ada_norm_single",
                norm_elementwise_affine=False,
            )
            for _ in range(layers)
        )  # fmt: skip
        self.up = nn.Conv2d(width, 4 * head, 1)
        self.join = nn.Conv2d(head + stem, head, 1)
        self.draw = nn.ModuleList(
            ResnetBlock2D(in_channels=head, temb_channels=width, groups=8, time_embedding_norm="scale_shift")
            for _ in range(2)
        )
        self.leave = nn.Sequential(nn.GroupNorm(8, head), nn.SiLU(), nn.Conv2d(head, 4 * 4 * CHUNK, 3, 1, 1))
        nn.init.zeros_(self.leave[-1].weight)
        nn.init.zeros_(self.leave[-1].bias)

    def forward(self, context: Context, chunk: Tensor) -> Tensor:
        """Future groups [B, 12, 2, H, W] of the actions [B, 8, 7]."""
        rows = len(chunk)
        actions = torch.cat([chunk, chunk[..., :6].cumsum(1) / 4, chunk[..., 6:]], -1)
        told = self.told(actions.flatten(1))
        seen = [context.anchor[:, :3], context.memory, self.places.expand(rows, -1, -1, -1)]
        fine = self.refine(self.enter(torch.cat(seen, 1)), told)
        coarse = self.down(fine)
        tokens = torch.cat([coarse.flatten(2).transpose(1, 2), self.action_token(actions)], 1) + self.position
        modulation = self.modulation(F.silu(told))
        for block in self.blocks:
            tokens = block(tokens, timestep=modulation)
        picture = self.up(tokens[:, :-CHUNK].transpose(1, 2).unflatten(2, coarse.shape[2:]))
        picture = self.join(torch.cat([F.pixel_shuffle(picture, 2), fine], 1))
        for block in self.draw:
            picture = block(picture, told)
        new = F.pixel_shuffle(self.leave(picture), 2).unflatten(1, (CHUNK, 4)).float()
        stays = torch.sigmoid(2 * new[:, :, 3:] + 1)
        frames = new[:, :, :3] + stays * context.memory[:, None, -3:] + (1 - stays) * self.background
        return frames.clamp(-1, 1).unflatten(1, (FUTURE, FRAMES_PER_LATENT)).flatten(2, 3).transpose(1, 2)


class HybridWorld(WorldModel):
    """The hybrid behind the world model's own contract."""

    def __init__(self, background: Tensor):
        super().__init__(PixelGroups(background.shape[-1]), Hybrid(background))

    @property
    def device(self) -> torch.device:
        return self.transformer.background.device

    @torch.no_grad()
    def imagine_latents(self, context: Context, chunk: Tensor, noise: Tensor) -> Tensor:
        """Deterministic: the noise is not looked at."""
        return self.transformer(context, chunk)


class PixelLoss(nn.Module):
    """Weighted L1 on the last chunk of a window; the chunks before it are imagined (self-forcing)."""

    def __init__(self, world: HybridWorld):
        super().__init__()
        self.hybrid, self.world = world.transformer, [world]  # the world holds the hybrid; only one may own it

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """`frames` uint8 [B, 5 + 8 n, H, W, 3]: anchor, memory, future; `actions` [B, 4 + 8 n, 7]; `noise`."""
        world, actions = self.world[0], batch["actions"]
        pictures = to_float(batch["frames"])
        memory = (pictures[:, 1 : 1 + MEMORY] + batch["noise"]).flatten(1, 2)
        context = Context(
            pictures[:, :1].repeat(1, FRAMES_PER_LATENT, 1, 1, 1).flatten(1, 2), memory, actions[:, :MEMORY]
        )
        chunks = actions[:, MEMORY:].unflatten(1, (-1, CHUNK))
        for chunk in chunks.unbind(1)[:-1]:
            future = world.imagine_latents(context, chunk, memory)
            context = world.context.advance(world.codec, context, future, chunk, np.empty(0))
        predicted = self.hybrid(context, chunks[:, -1]).transpose(1, 2).flatten(1, 2).unflatten(1, (CHUNK, 3))
        real, latest = pictures[:, -CHUNK:], context.memory[:, None, -3:]
        stands_out = ((real - self.hybrid.background).abs().amax(2, keepdim=True) > CLEARLY) | (
            (real - latest).abs().amax(2, keepdim=True) > CLEARLY
        )
        error = (predicted - real).abs()
        return (error * (1 + 4 * stands_out)).mean(), {"l1": error.mean().detach()}


def train(world: HybridWorld, table: FrameTable, config: WorldTrainingConfig, name: str, folder: Path) -> None:
    """Trains in place on windows drawn as the world model's are; resumes from `folder`."""
    candidates = [table.candidates(chunks + 1) for chunks in range(len(config.self_forcing))]

    def batch_at(step: int) -> dict[str, Tensor]:
        rng = stream(0, name, step)
        chunks = config.imagined_chunks(step, rng.random()) + 1
        index, cumulative = candidates[chunks - 1]
        latest = index[np.searchsorted(cumulative, rng.random(config.batch), side="right")]
        first = table.first_index[latest]
        steps = np.maximum(latest[:, None] + np.arange(1 - FRAMES_PER_LATENT, 1 + chunks * CHUNK), first[:, None])
        strength = CONTEXT_NOISE * torch.rand(config.batch, 1, 1, 1, 1, generator=torch_stream(0, name, "level", step))
        shape = (config.batch, FRAMES_PER_LATENT, 3, *table.frames.shape[1:3])
        return {
            "frames": torch.as_tensor(table.frames[np.concatenate([first[:, None], steps], 1)]),
            "actions": torch.as_tensor(table.actions[steps]),
            "noise": strength * torch.randn(shape, generator=torch_stream(0, name, step)),
        }

    fit(PixelLoss(world), batch_at, config.fit, name, folder, Metrics(folder))


def trained(run: Run, scratch: Path, pretraining: WorldTrainingConfig, play: int) -> HybridWorld:
    """The hybrid after as much play as asked for and a fine-tuning like the run's; kept by these settings."""
    config, folder = run.config, scratch / f"{run.folder.name}-{pretraining.fit.steps}-{play}"
    torch.manual_seed(0)
    world = HybridWorld(torch.zeros(3, config.resolution, config.resolution))
    kept = folder / "hybrid.safetensors"
    if kept.exists():
        load_into(world.transformer, load_tensors(kept), kept)
        return world.eval()
    table = FrameTable.of(collect_in_batches(scratch / "play", play, 0, config.real.play))
    world.transformer.background.copy_(table.background(stream(0, "yardstick", "background")))
    train(world, table, pretraining, "pretrain", folder)
    paid, reminders = store(run, *TRAINING), store(run, "play")
    weights = [1.0] * len(reminders) + [config.rollout_weight] * len(paid)
    train(world, FrameTable.of([*reminders, *paid], weights), config.world, "fine-tune", folder)
    save_tensors(kept, dict(world.transformer.state_dict()))
    return world.eval()


def judged(run: Run, setting: str, world: WorldModel) -> Iterator[dict[str, Any]]:
    """Rows of the gate's statistics, and of the picture's error by depth."""
    config, reward = run.config, SuccessClassifier.load(run.path("checkpoints/reward"))
    stores = {name: list(episodes) for name, episodes in gate_stores(run).items()}
    outcomes = {}
    for name, episodes in stores.items():
        env = ImaginedEnv(world, reward, config.imagined_rows, config.max_steps, hold_after_success=config.hold)
        outcomes[name] = replay_in_imagination(env, episodes, config.seed, f"gate_1/{name}")[0]
    base = [episode for name, episodes in stores.items() if name.startswith("base") for episode in episodes]
    whole = ImaginedEnv(world, reward, config.imagined_rows, config.max_steps, config.max_steps)
    curve = psnr_by_horizon(base, replay_in_imagination(whole, base, config.seed, "video")[1])["world"]
    verdict = evaluate_gate(outcomes, config.gate)
    numbers = {("precision", "all"): verdict.precision} | {
        (metric, policy.name): getattr(policy, metric)
        for policy in verdict.policies
        for metric in ("real", "imagined", "precision")
    }
    for (metric, task), rate in numbers.items():
        yield {"setting": setting, "metric": metric, "task": task, "depth": None, "value": rate.rate, "low": rate.low,
               "high": rate.high, "n": rate.n, "seeds": [config.seed], "per_seed": [rate.rate]}  # fmt: skip
    print(setting, "passed" if verdict.passed else "refused", verdict.reasons)
    for depth, value in curve:
        yield {"setting": setting, "metric": "psnr", "task": "all", "depth": int(depth), "value": value, "low": None,
               "high": None, "n": len(base), "seeds": [config.seed], "per_seed": [value]}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run folder of the tabletop")
    parser.add_argument("--steps", type=int, default=3000, help="of training on play")
    parser.add_argument("--play", type=int, default=6000, help="episodes of play, as the backbone's")
    parser.add_argument("--scratch", type=Path, default=Path("runs/yardstick"), help="where to keep play and weights")
    parser.add_argument("--write", action="store_true", help="put the rows into data/results/yardstick.json")
    chosen = parser.parse_args()
    run = enter_run(chosen.run, config_of(chosen.run))
    pretraining = WorldTrainingConfig(FitConfig(chosen.steps, 1e-3, 100, ema_decay=0.998), ramp=0.4)
    hybrid = trained(run, chosen.scratch, pretraining, chosen.play)
    worlds = {"world_model": WorldModel.load(run.path("checkpoints/world")), "hybrid": hybrid}
    rows = [row for name, world in worlds.items() for row in judged(run, name, world)]
    for row in rows:
        print(f"{row['setting']:12} {row['metric']:10} {row['task']:24} {row['depth'] or '':>3} {row['value']:.3f}")
    if chosen.write:
        table = {
            "schema": 1,
            "title": "The world model and a deterministic hybrid at the same gate",
            "command": f"python benchmarks/hybrid_comparison.py {chosen.run} --steps {chosen.steps} --write",
            "protocol": {
                "scale": run.config.scale,
                "hybrid": f"{chosen.steps} steps of {pretraining.batch} windows of {chosen.play} episodes of play, "
                f"then {run.config.world.fit.steps} of the run's; no privileged labels, one training seed",
                "training_precision": os.environ.get("ACCELERATE_MIXED_PRECISION", "float32"),
                "world_model": "the run's, fine-tuned from the backbone",
                "psnr": "of each chunk that ends at that depth, base policy's gate episodes that are so long",
                "intervals": "95 %, Wilson, over episodes",
            },
        }
        write_json(Path("data/results/yardstick.json"), table | provenance() | {"rows": rows})


if __name__ == "__main__":
    main()
