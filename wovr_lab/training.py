"""The one training loop: anything whose `forward(batch) -> (loss, metrics)` learns through `fit`.

Batches are a function of the step alone, so a run that was killed goes on from its last checkpoint with the same
numbers as one that was not. Accelerate moves the learner, splits the work over processes and averages gradients; each
process takes its share of the same global batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import tqdm
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wovr_lab.errors import UserError
from wovr_lab.fields import BelowOne, Count, Natural, NonNegative, Positive, Share, configuration
from wovr_lab.muon import Muon
from wovr_lab.runs import Metrics, load_into, load_tensors, require_finite, save_tensors
from wovr_lab.training_state import flatten_parts, optimizer_tensors, restore_optimizer, saved_count, split_parts

Batch = Any  # a tensor, or a dict, list, tuple or dataclass of tensors with the batch first: what the learner takes


@configuration
class FitConfig:
    """AdamW with linear warm-up, cosine decay and an optional moving average of the weights; Muon takes its place for
    the matrices of the modules that `muon` names, which suits hidden layers (the rate is scaled to AdamW's)."""

    steps: Count
    learning_rate: Positive = 1e-3
    warmup_steps: Natural = 50
    final_fraction: Share = 0.05  # of the learning rate, at the last step
    weight_decay: NonNegative = 0.01
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.95)
    max_gradient_norm: Positive = 1.0
    ema_decay: BelowOne | None = None
    muon: str = ""  # a part of those matrices' names, such as "blocks", or several with spaces between
    checkpoint_every: Count = 200
    log_every: Count = 20

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up times cosine decay."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        decay = self.final_fraction + (1 - self.final_fraction) * cosine
        return self.learning_rate * min(1.0, (step + 1) / max(self.warmup_steps, 1)) * decay


def fit(
    learner: nn.Module,
    batch_at: Callable[[int], Batch],
    config: FitConfig,
    name: str,
    folder: Path | None = None,
    metrics: Metrics | None = None,
) -> nn.Module:
    """Trains `learner` in place and returns it in eval mode, holding the averaged weights if `config` asks for them.

    `batch_at(step)` gives the global batch of a step. With a folder, training saves `NAME.training.safetensors` there
    from time to time and goes on from it if it exists; the caller deletes it when the result is safe.

    Raises UserError if the loss or the gradient stops being finite (a state in which nothing is saved), or if the saved
    training is one of another architecture or by other optimizers.
    """
    accelerator = Accelerator()
    optimizers = _optimizers(learner, config)
    average = None
    if config.ema_decay is not None:
        # a short horizon at first, so that the average forgets the initial weights
        average = AveragedModel(learner.to(accelerator.device), multi_avg_fn=_warming_ema(config.ema_decay))
    path = folder / f"{name}.training.safetensors" if folder else None
    begin = _restore(path, learner, optimizers, average) if path and path.exists() else 0
    model, *prepared = accelerator.prepare(learner, *optimizers.values())
    model.train()
    progress = tqdm(total=config.steps, initial=begin, desc=name, mininterval=1.0, dynamic_ncols=True)
    for step in range(begin, config.steps):
        loss, values = model(_share(batch_at(step), accelerator))
        model.zero_grad()
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(model.parameters(), config.max_gradient_norm)
        for optimizer in prepared:
            for group in optimizer.param_groups:
                group["lr"] = config.rate(step)
            optimizer.step()
        if average is not None:
            average.update_parameters(learner)
        progress.update()
        is_logged = step % config.log_every == 0 or step + 1 == config.steps
        is_saved = path is not None and (step + 1) % config.checkpoint_every == 0
        if is_logged or is_saved:
            row = {"loss": loss, "gradient_norm": norm, "learning_rate": config.rate(step), **values}
            row = {key: float(torch.as_tensor(value).detach()) for key, value in row.items()}
            require_finite(name, step, row)
            if metrics and is_logged and accelerator.is_main_process:
                metrics.log(name, step, row)
        if is_saved and accelerator.is_main_process:
            _save(path, learner, optimizers, average, step + 1)
    progress.close()
    if average is not None:
        learner.load_state_dict(average.module.state_dict())
    return learner.eval()


def _optimizers(learner: nn.Module, config: FitConfig) -> dict[str, torch.optim.Optimizer]:
    """AdamW, and Muon for the matrices that are its own. Raises UserError if `config` names none that are there."""
    trained = {name: weight for name, weight in learner.named_parameters() if weight.requires_grad}
    parts = config.muon.split()
    matrices = {name: weight for name, weight in trained.items() if weight.ndim == 2}
    own = {name: weight for name, weight in matrices.items() if any(part in name for part in parts)}
    if missing := [part for part in parts if not any(part in name for name in own)]:
        raise UserError(f"no trained matrix has {missing[0]!r} in its name; muon takes a part of a module's name")
    rest = [weight for name, weight in trained.items() if name not in own]
    rate, decay = config.learning_rate, config.weight_decay
    optimizers = {"adamw": torch.optim.AdamW(rest, rate, betas=config.betas, weight_decay=decay)} if rest else {}
    if own:
        optimizers["muon"] = Muon(own.values(), rate, decay)
    return optimizers


def _warming_ema(decay: float) -> Callable:
    final = get_ema_multi_avg_fn(decay)

    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        warm = min(decay, (1 + int(count)) / (10 + int(count)))
        (final if warm == decay else get_ema_multi_avg_fn(warm))(averaged, current, count)

    return update


def _share(batch: Batch, accelerator: Accelerator) -> Batch:
    """This process's part of a global batch, on its device."""
    with accelerator.split_between_processes(batch) as part:
        return _to(part, accelerator.device)


def _to(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: _to(value, device) for key, value in batch.items()}
    return batch


def _save(path: Path, learner: nn.Module, optimizers: dict, average: AveragedModel | None, step: int) -> None:
    parts = {"learner": learner.state_dict()} | {name: optimizer_tensors(each) for name, each in optimizers.items()}
    if average is not None:
        parts["average"] = {key: value.clone() for key, value in average.state_dict().items()}
    save_tensors(path, flatten_parts(parts) | {"step": torch.tensor(step)})


def _restore(path: Path, learner: nn.Module, optimizers: dict, average: AveragedModel | None) -> int:
    tensors = load_tensors(path)
    step = saved_count(tensors, "step", path)
    parts = {"learner": {}, "average": {}} | split_parts(tensors, path)
    found = parts.keys() - {"learner", "average"}
    if found != optimizers.keys():
        names = f"{', '.join(sorted(found))}, not by {', '.join(sorted(optimizers))}"
        raise UserError(f"{path} was trained by {names}; go on with its settings, or delete it to begin anew")
    load_into(learner, parts["learner"], path)
    for name, optimizer in optimizers.items():
        restore_optimizer(optimizer, parts[name], path)
    if average is not None:
        load_into(average, parts["average"], path)
    return step
