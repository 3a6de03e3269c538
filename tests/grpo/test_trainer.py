"""GRPO on a toy world, through the same contracts as on the tabletop and in imagination."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.contracts import ChunkEnv, ChunkFrames
from wovr_lab.errors import UserError
from wovr_lab.grpo.batch import PolicyBatch, to_batch
from wovr_lab.grpo.formulas import NoMask
from wovr_lab.grpo.loss import penalty_to
from wovr_lab.grpo.trainer import GRPOConfig, GRPOTrainer
from wovr_lab.policy.exploration import ChunkSharedNoise, IndependentNoise
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.runs import Metrics
from wovr_lab.types import NOOP, Start

CONFIG = GRPOConfig(groups=8, group_size=8, temperature=1.0, learning_rate=2e-3, minibatch=32)


class RightOf(ChunkEnv):
    """Success at the third action of a chunk whose first action goes to the right of `threshold`; two chunks."""

    def __init__(self, num_envs: int, threshold: float):
        super().__init__(num_envs, resolution=16, max_steps=16)
        self.threshold = threshold

    def draw_starts(self, count, seed):
        return RandomPictures().draw(count, np.random.default_rng(seed))

    def reset_rows(self, rows, starts, seed):
        return {}

    def step_rows(self, rows, actions):
        reached = actions[:, 0, 0] > self.threshold
        success = reached[:, None] & (np.arange(self.chunk) == 2)
        return ChunkFrames(np.repeat(self._frame[rows][:, None], self.chunk, 1), success)


class RandomPictures:
    """Starts that differ in their picture."""

    def draw(self, count: int, rng: np.random.Generator) -> list[Start]:
        frames = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
        return [Start("toy", "go right", frame, np.stack([frame] * 4), np.stack([NOOP] * 4)) for frame in frames]


def small_policy() -> VLAPolicy:
    config = VLAConfig(resolution=16, stem_width=8, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    return VLAPolicy.create(config, build_tokenizer(["go right"]), run_seed=0)


def weights(policy: VLAPolicy) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in policy.parameters()])


def trainer(policy: VLAPolicy, config: GRPOConfig = CONFIG, threshold: float = 0.5, run_seed: int = 0, **choices):
    return GRPOTrainer(policy, RightOf(64, threshold), RandomPictures(), config, run_seed, **choices)


def first_batch(one: GRPOTrainer) -> PolicyBatch:
    rollouts = one.roll_out(np.random.default_rng(0))
    advantages, weights, _ = one.compute_advantages(rollouts)
    return to_batch(rollouts, advantages, weights)


@pytest.mark.parametrize(("final_fraction", "iterations"), [(1.0, 15), (0.0, 20)])  # falling, it has less to spend
def test_grpo_lifts_the_success_rate_of_a_toy_world_from_a_half_to_nine_tenths(final_fraction: float, iterations: int):
    rewards, config = [], replace(CONFIG, final_fraction=final_fraction)
    trainer(small_policy(), config).train(iterations, lambda _, values: rewards.append(values["reward"]))
    assert 0.3 < rewards[0] < 0.6
    assert np.mean(rewards[-3:]) > 0.9


def test_an_iteration_reports_what_it_did():
    values = trainer(small_policy()).iterate()
    assert values["trajectories"] == 64
    assert 64 * 8 < values["frames"] < 64 * 16  # some ended at their first chunk
    assert 0 < values["mixed_groups"] <= 1
    assert 2.5 < values["entropy"] < np.log(21) + 0.1  # an untrained policy is nearly uniform over 21 bins
    assert values["approx_kl"] > 0 and values["gradient_norm"] > 0 and 0 <= values["clip_fraction"] < 0.5
    assert values["learning_rate"] == pytest.approx(CONFIG.learning_rate / CONFIG.warmup_iterations)


def test_the_learning_rate_warms_up_and_falls_to_zero_where_a_phase_would_end():
    config = replace(CONFIG, learning_rate=2.0, warmup_iterations=5)
    assert config.rate(0, 10) == pytest.approx(2.0 / 5)
    assert config.rate(4, 10) == pytest.approx(2.0 * 0.6)
    assert config.rate(9, 10) == pytest.approx(2.0 * 0.1)
    assert config.rate(12, 10) == 0
    assert config.rate(12) == 2.0
    assert replace(config, final_fraction=1.0).rate(9, 10) == 2.0
    logged = []
    trainer(small_policy()).train(2, lambda _, values: logged.append(values["learning_rate"]))
    assert logged == pytest.approx([CONFIG.learning_rate / 5, CONFIG.learning_rate / 5])  # 1/5 whole, 2/5 half fallen
    with pytest.raises(UserError, match="final_fraction"):
        replace(CONFIG, final_fraction=-0.1)


def test_groups_with_one_outcome_teach_nothing():
    for threshold in (-1.5, 1.5):  # always, never
        policy = small_policy()
        before = weights(policy)
        values = trainer(policy, threshold=threshold).iterate()
        assert values["mixed_groups"] == 0 and values["gradient_norm"] == 0
        assert torch.equal(weights(policy), before)


def test_a_batch_holds_the_chunks_of_mixed_groups_up_to_the_first_success():
    one = trainer(small_policy())
    rollouts = one.roll_out(np.random.default_rng(0))
    advantages, weights, mixed = one.compute_advantages(rollouts)
    batch = to_batch(rollouts, advantages, weights)
    kept = mixed.repeat_interleave(8).numpy()
    assert 0 < kept.sum() < 64 or mixed.all()
    assert len(batch) == rollouts.executed[kept].sum()
    assert batch.weights.sum().item() == pytest.approx(1.0)
    first = torch.from_numpy(rollouts.first_success)[kept]
    in_first_chunk = (first == 2).nonzero()[0].item()
    expected = torch.tensor([1 / 3] * 3 + [0.0] * 5) / kept.sum()
    row = int(rollouts.executed[kept][:in_first_chunk].sum())
    assert torch.allclose(batch.weights[row], expected.float())


def test_groups_are_drawn_until_as_many_as_wanted_have_both_outcomes():
    rare = replace(CONFIG, groups=16, group_size=2)
    once, often, too_seldom = (
        trainer(small_policy(), replace(rare, max_resamples=most), 0.9).draw(np.random.default_rng(0))
        for most in (1, 9, 2)
    )
    assert once[2].sum() < 16 and len(once[0]) == 1
    assert len(too_seldom[0]) == 2
    rollouts, batch, mixed = often
    assert mixed.sum() >= 16 and mixed[: -rare.groups].sum() < 16  # without the last draw there were too few
    assert len(mixed) == rare.groups * len(rollouts) and 2 < len(rollouts) <= 9
    assert len({each.tokens.numpy().tobytes() for each in rollouts}) == len(rollouts)
    assert batch.weights.sum().item() == pytest.approx(1.0)
    chunks = (batch.weights.sum(-1) * 2 * mixed.sum()).tolist()  # as shares of their trajectory
    shares = (1, 8 / 11, 3 / 11, 1 / 2)  # success at action 3; at action 11, its two chunks; never, both chunks
    assert all(min(abs(chunk - share) for share in shares) < 1e-5 for chunk in chunks)


def test_drawing_ends_where_nothing_teaches():
    values = trainer(small_policy(), replace(CONFIG, max_resamples=3), threshold=1.5).iterate()
    assert values["trajectories"] == 3 * 64 and values["mixed_groups"] == 0 and values["gradient_norm"] == 0


def test_without_the_mask_actions_after_the_success_are_judged_too():
    masked, unmasked = (first_batch(trainer(small_policy(), **choice)) for choice in ({}, {"mask": NoMask()}))
    assert torch.equal(masked.tokens, unmasked.tokens)
    assert (unmasked.weights > 0).all() and not (masked.weights > 0).all()


def test_every_start_is_tried_by_a_whole_group():
    rollouts = trainer(small_policy()).roll_out(np.random.default_rng(0))
    pictures = rollouts.frames[:, 0].reshape(8, 8, -1)
    assert (pictures == pictures[:, :1]).all()
    assert len({picture.tobytes() for picture in pictures[:, 0]}) == 8
    assert len({tokens.numpy().tobytes() for tokens in rollouts.tokens}) == 64


def test_the_old_log_probabilities_are_those_of_the_policy_that_sampled():
    one = trainer(small_policy())
    _, metrics = one.loss(first_batch(one))
    assert metrics["approx_kl"].abs() < 1e-6 and metrics["clip_fraction"] == 0


def test_a_kl_penalty_keeps_the_policy_nearer_to_its_reference():
    def distance(coefficient: float) -> float:
        policy, reference = small_policy(), small_policy()
        trainer(policy, penalty=penalty_to(policy, coefficient)).train(5)
        frames = RandomPictures().draw(8, np.random.default_rng(5))
        observation = {"frame": np.stack([start.anchor for start in frames])}
        logits, expected = (one.logits(observation, ("go right",) * 8) for one in (policy, reference))
        return torch.nn.functional.kl_div(logits.log_softmax(-1), expected.softmax(-1), reduction="sum").item()

    assert distance(3.0) < 0.5 * distance(0.0)


def test_training_that_was_killed_goes_on_bit_for_bit_and_logs_each_iteration_once(tmp_path):
    whole = small_policy()
    expected = []
    trainer(whole, run_seed=3).train(4, lambda _, values: expected.append(values))

    class Killed(Exception):
        pass

    def kill(iteration: int, _: dict) -> bool:
        if iteration == 2:
            raise Killed
        return False

    with pytest.raises(Killed):
        trainer(small_policy(), run_seed=3, folder=tmp_path, metrics=Metrics(tmp_path)).train(4, kill)
    resumed = small_policy()
    again = trainer(resumed, run_seed=3, folder=tmp_path, metrics=Metrics(tmp_path))
    assert again.iteration == 2
    again.train(4)
    assert torch.equal(weights(resumed), weights(whole))
    rows = [{key: row[key] for key in expected[0]} for row in Metrics(tmp_path).rows()]
    assert rows == expected


def test_the_callback_can_stop_training():
    one = trainer(small_policy())
    one.train(10, lambda iteration, _: iteration == 1)
    assert one.iteration == 2


def test_another_phase_or_run_draws_other_starts_and_samples():
    def first(**choices) -> bytes:
        policy = small_policy()
        trainer(policy, **choices).iterate()
        return weights(policy).numpy().tobytes()

    assert first() == first()
    assert len({first(), first(run_seed=1), first(name="improve_2")}) == 3


def test_a_configuration_that_cannot_train_is_refused():
    wrong = (
        {"group_size": 1},
        {"temperature": 0.0},
        {"clip_low": 1.0},
        {"gamma": 1.5},
        {"minibatch": 0},
        {"max_resamples": 0},
    )
    for change in wrong:
        with pytest.raises(UserError, match="GRPOConfig cannot be"):
            replace(CONFIG, **change)


def test_the_noise_that_is_configured_is_the_one_that_rollouts_are_drawn_with():
    for noise, is_shared in ((ChunkSharedNoise(), True), (IndependentNoise(), False)):
        rollouts = trainer(small_policy(), replace(CONFIG, noise=noise)).roll_out(np.random.default_rng(0))
        gripper = rollouts.tokens[:, 0, :, 6].float()  # an untrained policy is nearly uniform over its bins
        assert bool(gripper.std(1).mean() < 2) is is_shared
