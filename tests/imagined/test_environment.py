"""Imagination keeps the contract of the real world, and success follows the reward's rule across chunks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wovr_lab.checks import check_chunk_env
from wovr_lab.errors import UserError
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.proprioception import tabletop_robot
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.rollout import replay
from wovr_lab.starts import InitialStarts, start_at
from wovr_lab.types import NOOP, Start
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.pixel_model import PixelWorldModel
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.transformer import ActionWanTransformer

WORDS = "push the red cube"


@pytest.fixture(scope="module")
def world() -> WorldModel:
    """Untrained, but everything in it speaks: frames depend on noise, actions and context."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = FrameGroupCodec(width=32, latent_channels=8)
        torch.nn.init.normal_(codec.autoencoder.decoder.layers[-1].weight, std=0.2)
        transformer = ActionWanTransformer(
            num_attention_heads=2, attention_head_dim=16, num_layers=1, ffn_dim=64,
            in_channels=8, out_channels=8, freq_dim=32,
        )  # fmt: skip
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.2)
        torch.nn.init.normal_(transformer.condition_embedder.modulation[-1].weight, std=0.5)
    return WorldModel(codec, transformer).eval()


def reward(threshold: float = 2.0, consecutive: int = 2, kind: type[SuccessClassifier] = SuccessClassifier):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        classifier = kind([WORDS], width=8, consecutive=consecutive).eval()
    classifier.threshold.fill_(threshold)
    return classifier


class Scripted(SuccessClassifier):
    """Gives the probabilities it was told, a chunk [N, 8] at a time."""

    def tell(self, *chunks: list[list[float]]) -> "Scripted":
        self.told = [np.array(chunk, np.float32) for chunk in chunks]
        return self

    def probability(self, frames: np.ndarray, instructions: list[str]) -> np.ndarray:
        return self.told.pop(0)


@pytest.fixture
def starts(make_episode) -> list[Start]:
    episodes = [make_episode(seed, 40, size=32) for seed in range(3)]
    return [start_at(episodes[0], 0), start_at(episodes[1], 10), start_at(episodes[2], 0)]


def hold(rows: int) -> np.ndarray:
    return np.tile(NOOP, (rows, 8, 1))


def run(env: ImaginedEnv, starts: list[Start], chunks: int) -> list[tuple]:
    env.reset(seed=0, options={"starts": starts})
    return [env.step(hold(len(starts))) for _ in range(chunks)]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("settings", [{}, {"hold_after_success": 4}, {"keyframe_steps": 16}])
def test_imagination_keeps_the_contract_of_the_real_world(world, starts, threshold, settings):
    check_chunk_env(lambda: ImaginedEnv(world, reward(threshold), 3, max_steps=24, **settings), starts)


@pytest.fixture(scope="module")
def pixel_world() -> PixelWorldModel:
    """Untrained, but loud: frames depend on noise, actions and the imagined state."""
    robot = tabletop_robot().to_dict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PixelNetwork(width=16, num_attention_heads=2, num_layers=1, hidden=16, robot=robot)
        head = StateHead(robot)
        torch.nn.init.normal_(network.decoder.out.matrix, std=0.05)
        torch.nn.init.normal_(head.linear.weight, std=0.02)
    return PixelWorldModel(network, head).eval()


@pytest.fixture
def real_starts() -> list[Start]:
    episode = replace(next(iter(expert_episodes("push_red", [0], noise=0.2))), instruction=WORDS)
    return [start_at(episode, 0), start_at(episode, 10), start_at(episode, 0)]


def test_imagination_in_pixels_keeps_the_contract_and_gives_imagined_states(pixel_world, real_starts):
    def make() -> ImaginedEnv:
        return ImaginedEnv(pixel_world, reward(0.5), 3, max_steps=24, hold_after_success=4)

    check_chunk_env(make, real_starts)
    env = make()
    observation, _ = env.reset(seed=0, options={"starts": real_starts})
    assert (observation["state"][1] == real_starts[1].proprio[-1]).all()
    after, *_, info = env.step(hold(3))
    assert info["proprio"].shape == (3, 8, 13) and (after["state"] != observation["state"]).any(1).all()


def test_a_rollout_in_pixels_keeps_the_states_that_were_imagined(pixel_world, real_starts):
    env = ImaginedEnv(pixel_world, None, 2, max_steps=16)
    rollouts = replay(env, real_starts, np.tile(NOOP, (3, 2, 8, 1)), 0, "test", video=True)
    assert rollouts.proprio.shape == (3, 17, 13) and rollouts.video.shape[:2] == (3, 17)
    assert (rollouts.proprio[:, 0] == np.stack([start.proprio[-1] for start in real_starts])).all()
    again = start_at(rollouts.episodes()[0], 8)
    assert (again.proprio == rollouts.proprio[0, 5:9]).all()


def test_a_start_without_the_robots_state_is_refused_where_the_model_needs_it(pixel_world, real_starts):
    env = ImaginedEnv(pixel_world, None, 3, max_steps=16)
    with pytest.raises(UserError, match="has no state of the robot"):
        env.reset(seed=0, options={"starts": [replace(start, proprio=None) for start in real_starts]})


def test_frames_come_from_the_start_the_actions_and_the_seed(world, starts):
    env = ImaginedEnv(world, reward(), 3, max_steps=16)

    def imagined(seed: int, action: float) -> np.ndarray:
        env.reset(seed=seed, options={"starts": starts})
        return env.step(np.full((3, 8, 7), action, np.float32))[4]["frames"]

    one = imagined(0, 0.5)
    assert (imagined(0, 0.5) == one).all()
    for other in (imagined(1, 0.5), imagined(0, -0.5)):
        assert (other != one).any((1, 2, 3, 4)).all()


def test_rows_from_one_start_have_noise_of_their_own(world, starts):
    frames = run(ImaginedEnv(world, reward(), 3, max_steps=16), [starts[0]] * 3, 1)[0][4]["frames"]
    assert (frames[0] != frames[1]).any() and (frames[1] != frames[2]).any()


def test_success_latches_and_is_paid_once(world, starts):
    told = [[0, 0, 0.9, 0.9, 0, 0, 0, 0]], [[0] * 8], [[0.9] * 8]
    classifier = reward(0.5, 2, Scripted).tell(*told)
    env = ImaginedEnv(world, classifier, 1, max_steps=24, hold_after_success=16)
    steps = run(env, starts[:1], 3)
    assert steps[0][4]["success"].astype(int).tolist() == [[0, 0, 0, 1, 1, 1, 1, 1]]
    assert steps[1][4]["success"].all() and steps[2][4]["success"].all()
    assert [step[1][0] for step in steps] == [1, 0, 0]
    assert [step[2][0] for step in steps] == [False, False, True]  # 5 + 8 + 8 frames held


def test_the_rule_of_consecutive_frames_carries_over_the_border_of_chunks(world, starts):
    told = [[0, 0, 0, 0, 0, 0, 0.9, 0.9]], [[0.9, 0, 0, 0, 0, 0, 0, 0]]
    classifier = reward(0.5, 3, Scripted).tell(*told)
    first, second = run(ImaginedEnv(world, classifier, 1, max_steps=16), starts[:1], 2)
    assert not first[4]["success"].any() and second[4]["success"].all()


def test_a_reset_forgets_the_frames_before_it(world, starts):
    told = [[0.9 if step == 7 else 0 for step in range(8)]], [[0.9, 0, 0, 0, 0, 0, 0, 0]]
    env = ImaginedEnv(world, reward(0.5, 2, Scripted).tell(*told), 1, max_steps=16)
    for _ in range(2):
        assert not run(env, starts[:1], 1)[0][4]["success"].any()


def test_probabilities_are_given_for_every_frame_of_the_rows_that_are_alive(world, starts):
    classifier = reward(0.5, 1, Scripted).tell([[0.9] * 8, [0.1] * 8, [0.2] * 8], [[0.3] * 8, [0.4] * 8])
    first, second = run(ImaginedEnv(world, classifier, 3, max_steps=24), starts, 2)
    assert first[4]["success_probability"][:, 0].tolist() == pytest.approx([0.9, 0.1, 0.2])
    assert second[4]["executed"].tolist() == [False, True, True]
    assert second[4]["success_probability"][:, 0].tolist() == pytest.approx([0, 0.3, 0.4])


def test_keyframe_starts_are_limited_by_keyframe_steps_and_initial_ones_are_not(world, starts):
    steps = run(ImaginedEnv(world, reward(), 3, max_steps=32, keyframe_steps=16), starts, 4)
    executed = np.sum([step[4]["executed"] for step in steps], 0)
    assert executed.tolist() == [4, 2, 4] and not any(step[2].any() for step in steps)
    without = run(ImaginedEnv(world, reward(), 3, max_steps=32), starts, 4)
    assert np.sum([step[4]["executed"] for step in without], 0).tolist() == [4, 3, 4]


def test_a_masked_reset_begins_its_rows_anew_and_no_other(world, starts, make_episode):
    env = ImaginedEnv(world, reward(), 3, max_steps=16)
    run(env, starts, 2)
    fresh = start_at(make_episode(9, 20, size=32), 0)
    before = env.context
    observation, _ = env.reset(seed=5, options={"starts": [fresh] * 3, "reset_mask": np.array([False, True, False])})
    assert (observation["frame"][1] == fresh.anchor).all() and (observation["frame"][0] != fresh.anchor).any()
    changed = (env.context.anchor != before.anchor).flatten(1).any(1)
    assert changed.tolist() == [False, True, False]
    assert env.step(hold(3))[4]["executed"].tolist() == [False, True, False]


def test_a_reset_of_no_row_changes_nothing(world, starts):
    env = ImaginedEnv(world, reward(), 3, max_steps=24)
    first = run(env, starts, 1)[0]
    observation, _ = env.reset(options={"starts": starts, "reset_mask": np.zeros(3, bool)})
    assert (observation["frame"] == first[0]["frame"]).all() and env.step(hold(3))[4]["executed"].all()


def test_what_does_not_fit_is_refused(world, starts, make_episode):
    with pytest.raises(UserError, match="the reward sees 64 pixels, the world model makes 32"):
        ImaginedEnv(world, SuccessClassifier([WORDS], resolution=64, width=8), 1, max_steps=16)
    with pytest.raises(UserError, match="needs real frames to begin from"):
        ImaginedEnv(world, reward(), 1, max_steps=16).reset(seed=0)
    with pytest.raises(UserError, match="must begin every row"):
        options = {"starts": starts, "reset_mask": np.array([True, True, False])}
        ImaginedEnv(world, reward(), 3, max_steps=16).reset(options=options)
    with pytest.raises(UserError, match="a start of"):
        small = start_at(make_episode(0, size=16), 0)
        ImaginedEnv(world, reward(), 1, max_steps=16).reset(options={"starts": [small]})


def test_without_starts_it_draws_its_own_from_the_seed(world, starts):
    env = ImaginedEnv(world, reward(), 2, max_steps=16, starts=InitialStarts((starts[0], starts[2])))
    frames = [env.reset(seed=seed)[0]["frame"] for seed in (0, 0, *range(1, 8))]
    assert (frames[0] == frames[1]).all() and any((frames[0] != other).any() for other in frames[2:])


def test_without_a_reward_nothing_is_a_success_and_everything_goes_on_to_the_limit(world, starts):
    steps = run(ImaginedEnv(world, None, 3, max_steps=16), starts, 2)
    assert not any(info["success"].any() or terminated.any() for _, _, terminated, _, info in steps)
    assert steps[-1][3].all()
    judged = run(ImaginedEnv(world, reward(), 3, max_steps=16), starts, 2)  # by a threshold that nothing reaches
    assert (steps[-1][4]["frames"] == judged[-1][4]["frames"]).all()
