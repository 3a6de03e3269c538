"""The one training loop: kills, processes and averages do not change what is learnt."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from wovr_lab.errors import UserError
from wovr_lab.runs import Metrics, load_tensors
from wovr_lab.seeding import torch_stream
from wovr_lab.training import FitConfig, fit

CONFIG = FitConfig(steps=12, learning_rate=0.05, warmup_steps=2, checkpoint_every=4, log_every=1)


class Regression(nn.Module):
    """y = 2 x0 - x1, learnt through a hidden layer; remembers the weights it was called with."""

    def __init__(self, seed: int = 0):
        super().__init__()
        generator = torch_stream(seed, "weights")
        self.weight = nn.Parameter(torch.randn(2, 4, generator=generator))
        self.out = nn.Parameter(torch.randn(4, generator=generator))
        self.seen: list[Tensor] = []

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append(self.out.detach().clone())
        error = torch.tanh(batch["x"] @ self.weight) @ self.out - batch["y"]
        return (error**2).mean(), {"error": error.abs().mean().detach()}


def batch_at(step: int) -> dict[str, Tensor]:
    x = torch.randn(8, 2, generator=torch_stream(0, "batch", step))
    return {"x": x, "y": 2 * x[:, 0] - x[:, 1]}


def killed_at(last: int):
    def batches(step: int) -> dict[str, Tensor]:
        if step == last:
            raise KeyboardInterrupt
        return batch_at(step)

    return batches


def same(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


@pytest.mark.parametrize("muon", ["", "weight"])
@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("killed", [6, 8, 11])
def test_a_run_that_was_killed_and_resumed_has_bit_equal_weights_and_metrics(tmp_path, ema, killed, muon):
    config = replace(CONFIG, ema_decay=ema, muon=muon)
    whole = fit(Regression(), batch_at, config, "toy", tmp_path / "whole", Metrics(tmp_path / "whole"))
    folder = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(), killed_at(killed), config, "toy", folder, Metrics(folder))
    other_beginning = Regression(seed=9)
    resumed = fit(other_beginning, batch_at, config, "toy", folder, Metrics(folder))
    assert same(whole, resumed) and not resumed.training
    assert len(resumed.seen) == 12 - killed // 4 * 4
    assert Metrics(folder).rows() == Metrics(tmp_path / "whole").rows()


def test_training_learns():
    learner = Regression()
    before = learner(batch_at(99))[0].item()
    fit(learner, batch_at, replace(CONFIG, steps=80), "toy")
    assert learner(batch_at(99))[0].item() < 0.2 * before


def test_muon_moves_a_matrix_by_an_orthogonal_step_and_leaves_the_rest_to_adamw():
    """Its first step is Q of the gradient's polar decomposition, times rate and .2 sqrt(4), up to Newton-Schulz's
    coarse singular values in [.7, 1.2]; there is no weight decay here, and the rate is whole at the first step."""
    config = FitConfig(1, 0.05, warmup_steps=1, weight_decay=0.0)
    start = Regression()
    moved = {}
    for muon in ("", "weight"):
        learner = fit(Regression(), batch_at, replace(config, muon=muon), "toy")
        moved[muon] = {name: value - start.state_dict()[name] for name, value in learner.state_dict().items()}
    assert torch.equal(moved["weight"]["out"], moved[""]["out"])
    singular = torch.linalg.svdvals(moved["weight"]["weight"]) / (0.05 * 0.2 * 4**0.5)
    assert ((singular > 0.65) & (singular < 1.25)).all(), singular
    assert not torch.allclose(moved["weight"]["weight"], moved[""]["weight"])


def test_muon_for_modules_that_are_not_there_is_refused():
    with pytest.raises(UserError, match="no trained matrix has 'blocks'"):
        fit(Regression(), batch_at, replace(CONFIG, muon="blocks"), "toy")


def test_the_average_is_the_moving_average_of_the_weights_by_hand():
    config = replace(CONFIG, steps=3)
    plain = fit(Regression(), batch_at, config, "toy")
    after = [*plain.seen[1:], plain.out.detach()]  # after steps 1, 2, 3
    expected = after[0]
    for decay, weights in zip((2 / 11, 3 / 12), after[1:], strict=True):  # a short horizon at first
        expected = decay * expected + (1 - decay) * weights
    averaged = fit(Regression(), batch_at, replace(config, ema_decay=0.9), "toy")
    torch.testing.assert_close(averaged.out.detach(), expected)
    small = fit(Regression(), batch_at, replace(config, ema_decay=0.1), "toy")
    expected = 0.1 * (0.1 * after[0] + 0.9 * after[1]) + 0.9 * after[2]
    torch.testing.assert_close(small.out.detach(), expected)


def test_the_rate_warms_up_linearly_and_decays_along_a_cosine():
    config = FitConfig(steps=100, learning_rate=2.0, warmup_steps=10, final_fraction=0.1)
    assert config.rate(0) == pytest.approx(2.0 * 0.1)
    assert config.rate(50) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert config.rate(100) == config.rate(500) == pytest.approx(2.0 * 0.1)
    assert replace(config, final_fraction=1.0).rate(4) == pytest.approx(2.0 * 0.5)
    assert replace(config, warmup_steps=0).rate(0) == pytest.approx(2.0)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"learning_rate": 0.0}, {"checkpoint_every": 0}, {"log_every": 0}])
def test_a_schedule_that_cannot_train_is_refused(wrong):
    with pytest.raises(UserError, match="FitConfig cannot be"):
        replace(CONFIG, **wrong)


@pytest.mark.parametrize("logged", [True, False])
def test_a_diverged_loss_stops_with_advice_and_saves_nothing(tmp_path, logged):
    def batches(step: int) -> dict[str, Tensor]:
        return {name: value * (float("nan") if step >= 2 else 1.0) for name, value in batch_at(step).items()}

    metrics = Metrics(tmp_path) if logged else None
    with pytest.raises(UserError, match=r"toy diverged at step 2: .*learning rate"):
        fit(Regression(), batches, CONFIG, "toy", tmp_path, metrics)
    assert not (tmp_path / "toy.training.safetensors").exists()


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    fit(Regression(), batch_at, CONFIG, "toy", tmp_path)
    with pytest.raises(UserError, match="another architecture"):
        fit(nn.Linear(2, 1), batch_at, CONFIG, "toy", tmp_path)
    with pytest.raises(UserError, match="another architecture"):
        fit(Regression(), batch_at, replace(CONFIG, ema_decay=0.9), "toy", tmp_path)


@pytest.mark.parametrize(("first", "then"), [("", "weight"), ("weight", "")])
def test_a_checkpoint_by_other_optimizers_is_refused(tmp_path, first, then):
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(), killed_at(6), replace(CONFIG, muon=first), "toy", tmp_path)
    with pytest.raises(UserError, match=r"was trained by .*adamw.*, not by .*adamw.*delete it"):
        fit(Regression(), batch_at, replace(CONFIG, muon=then), "toy", tmp_path)


def test_frozen_parameters_stay_as_they_are():
    learner = Regression()
    learner.weight.requires_grad_(False)
    before = learner.weight.clone()
    fit(learner, batch_at, CONFIG, "toy")
    assert torch.equal(learner.weight, before) and not torch.equal(learner.out, learner.seen[0])


ONE_OF_TWO = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_training import CONFIG, Regression, batch_at
from wovr_lab.runs import save_tensors
from wovr_lab.training import fit
from dataclasses import replace
learner = fit(Regression(), batch_at, replace(CONFIG, ema_decay=0.9), "toy", Path({out!r}))
rank = sys.argv[1]
save_tensors(Path({out!r}) / (rank + ".safetensors"), dict(learner.state_dict()))
"""


def test_two_local_processes_learn_what_one_learns(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = ONE_OF_TWO.format(tests=str(Path(__file__).parent), out=str(tmp_path))
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank)],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    alone = fit(Regression(), batch_at, replace(CONFIG, ema_decay=0.9), "toy")
    for rank in range(2):
        together = load_tensors(tmp_path / f"{rank}.safetensors")
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(together[name], value, rtol=1e-5, atol=1e-5)
