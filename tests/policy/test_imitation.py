import math

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.policy.imitation import (
    ImitationConfig,
    ImitationLoss,
    augment,
    demonstrated_chunks,
    demonstrations,
    imitate,
)
from wovr_lab.training import FitConfig
from wovr_lab.types import Episode

INSTRUCTIONS = ("push the red cube into the zone", "put the red cube on the plate", "push the blue one")


def episode(direction: float, instruction: str = INSTRUCTIONS[0], length: int = 6, resolution: int = 32) -> Episode:
    """A bright half on the side to which the expert moves; executed actions are noisy, the labels are not."""
    frames = np.zeros((length + 1, resolution, resolution, 3), np.uint8)
    frames[:, :, slice(None, 16) if direction < 0 else slice(16, None)] = 200
    expert = np.tile(np.array([direction, 0, 0, 0, 0, 0, 1], np.float32), (length, 1))
    return Episode("task", instruction, 0, frames, expert * 0.5, np.zeros(length, bool), expert_actions=expert)


def config(steps: int, checkpoint_every: int = 1000) -> ImitationConfig:
    return ImitationConfig(FitConfig(steps, 3e-3, warmup_steps=5, checkpoint_every=checkpoint_every), batch=16)


def test_a_chunk_past_the_end_stands_still_and_keeps_the_last_gripper_command():
    actions = np.arange(21, dtype=np.float32).reshape(3, 7) / 21
    chunks = demonstrated_chunks(actions, chunk=2)
    assert chunks.shape == (3, 2, 7)
    assert np.array_equal(chunks[0], actions[:2]) and np.array_equal(chunks[1], actions[1:])
    assert np.array_equal(chunks[2], [actions[2], [0, 0, 0, 0, 0, 0, actions[2, 6]]])


def test_every_frame_but_the_last_is_labelled_with_clean_actions_where_there_are_any():
    clean, executed = episode(1.0), Episode(*[*vars(episode(-1.0)).values()][:6])
    data = demonstrations([clean, executed], chunk=8)
    assert len(data) == 12 and data.chunks.shape == (12, 8, 7) and len(data.instructions) == 12
    assert data.chunks[0, 0, 0] == 1.0 and data.chunks[6, 0, 0] == -0.5


def test_the_loss_of_uniform_predictions_is_the_logarithm_of_the_bins(policy):
    with torch.no_grad():
        policy.head.weight.zero_()
        policy.head.bias.zero_()
    words, word_mask = policy.instructions.batch(INSTRUCTIONS[:2])
    batch = {
        "pictures": torch.zeros(2, 3, 32, 32),
        "words": words,
        "word_mask": word_mask,
        "chunks": torch.zeros(2, 8, 7),
    }
    loss, metrics = ImitationLoss(policy, rotation_weight=0.1)(batch)
    assert loss.item() == pytest.approx(1.1 * math.log(21), rel=1e-5)
    assert metrics["rotation_loss"].item() == pytest.approx(math.log(21), rel=1e-5)


def test_a_shift_repeats_the_border_and_no_strength_changes_nothing():
    picture = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4)
    still = ImitationConfig(shift=0, contrast=0, brightness=0)
    assert torch.equal(augment(picture, still, torch.Generator()), picture)
    moving = ImitationConfig(shift=1, contrast=0, brightness=0)
    padded = torch.nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate")
    possible = [padded[..., y : y + 4, x : x + 4] for y in range(3) for x in range(3)]
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(60):
        shifted = augment(picture, moving, generator)
        seen.update(index for index, one in enumerate(possible) if torch.equal(one, shifted))
    assert seen == set(range(9))


def test_a_policy_learns_to_move_to_the_bright_side(policy):
    imitate(policy, [episode(-1.0), episode(1.0)], config(60), run_seed=0)
    frames = np.concatenate([episode(-1.0).frames[:1], episode(1.0).frames[:1]])
    actions = policy.act({"frame": frames}, INSTRUCTIONS[:1] * 2, torch.Generator(), 0.0).actions
    assert np.abs(actions[:, 0, 0] - [-1, 1]).max() <= 0.1 + 1e-6
    assert (actions[:, 0, 6] == 1).all()


def test_imitation_is_determined_by_the_run_seed_and_goes_on_after_a_kill_bit_for_bit(policy, tmp_path):
    class Killed(Exception):
        pass

    def trained(run_seed: int, kill_at: int | None = None, folder=None) -> torch.Tensor:
        one = type(policy).create(policy.config, policy.instructions.tokenizer, 0)
        if kill_at is not None:
            calls = iter(range(kill_at))

            def killed(*_):
                if next(calls, None) is None:
                    raise Killed

            one.register_forward_pre_hook(killed)
        imitate(one, [episode(-1.0), episode(1.0)], config(12, checkpoint_every=4), run_seed, folder)
        return torch.cat([value.flatten() for value in one.parameters()])

    whole = trained(0)
    with pytest.raises(Killed):
        trained(0, kill_at=6, folder=tmp_path)
    assert torch.equal(trained(0, folder=tmp_path), whole)
    assert not torch.equal(trained(1), whole)


def test_nothing_to_imitate_and_pictures_of_another_size_are_refused(policy):
    with pytest.raises(UserError, match="collect demonstrations first"):
        imitate(policy, [], config(1), 0)
    with pytest.raises(UserError, match="64 pixel pictures"):
        imitate(policy, [episode(1.0, resolution=64)], config(1), 0)
