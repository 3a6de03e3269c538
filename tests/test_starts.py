"""Where rollouts begin: contexts by hand, shares, keyframes, and keyframe files."""

import numpy as np
import pytest

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.starts import (
    InitialStarts,
    KeyframeStarts,
    MixedStarts,
    export_keyframes,
    import_keyframes,
    keyframe_steps,
    keyframes,
    start_at,
)
from wovr_lab.types import NOOP


@pytest.fixture
def make_store(tmp_path):
    def make(episodes) -> EpisodeStore:
        write_episodes(tmp_path / "episodes.hdf5", episodes)
        return EpisodeStore([tmp_path / "episodes.hdf5"])

    return make


def test_a_keyframe_holds_the_first_and_the_four_latest_frames_and_what_made_them(make_episode):
    episode = make_episode(3, 20)
    start = start_at(episode, 9)
    assert (start.anchor == episode.frames[0]).all() and (start.memory == episode.frames[6:10]).all()
    assert (start.memory_actions == episode.actions[5:9]).all() and (start.state == episode.states[9]).all()
    assert (start.step, start.seed, start.task, start.instruction) == (9, 3, "push_red", "push the red cube")
    assert start.kind == "keyframe"


@pytest.mark.parametrize(("step", "frames"), [(0, [0, 0, 0, 0]), (1, [0, 0, 0, 1]), (2, [0, 0, 1, 2])])
def test_before_step_3_the_first_frame_and_hold_fill_the_memory(make_episode, step, frames):
    episode = make_episode(0, 20)
    start = start_at(episode, step)
    produced = np.concatenate([NOOP[None], episode.actions])
    assert (start.memory == episode.frames[frames]).all() and (start.memory_actions == produced[frames]).all()


def test_steps_outside_an_episode_are_refused_and_states_may_be_unknown(make_episode):
    episode = make_episode(0, 20, states=False)
    assert start_at(episode, 20).state is None
    for step in (-1, 21):
        with pytest.raises(UserError, match="outside an episode of 20 actions"):
            start_at(episode, step)


def test_every_task_gets_its_share_of_a_draw_whatever_its_number_of_starts(make_episode):
    starts = [start_at(make_episode(seed, task="push_red"), 0) for seed in range(9)]
    starts += [start_at(make_episode(seed, task="lift_red"), 0) for seed in range(2)]
    drawn = InitialStarts(tuple(starts)).draw(41, np.random.default_rng(0))
    tasks = [start.task for start in drawn]
    assert sorted((tasks.count("push_red"), tasks.count("lift_red"))) == [20, 21]
    assert len({start.seed for start in drawn if start.task == "push_red"}) > 5
    firsts = {InitialStarts(tuple(starts)).draw(1, np.random.default_rng(seed))[0].task for seed in range(9)}
    assert firsts == {"push_red", "lift_red"}


def test_a_draw_is_decided_by_its_generator(make_episode):
    starts = InitialStarts(tuple(start_at(make_episode(seed), 0) for seed in range(9)))
    seeds = [[start.seed for start in starts.draw(6, np.random.default_rng(seed))] for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize(("share", "allowed"), [(0.0, {0}), (1.0, {10}), (0.5, {5}), (0.25, {2, 3})])
def test_a_mixture_holds_its_stated_share_of_keyframes_on_average(make_episode, share, allowed):
    episode = make_episode(0, 20)
    few, many = (start_at(episode, 0),), tuple(start_at(episode, step) for step in range(1, 9))
    mixed = MixedStarts(InitialStarts(few), KeyframeStarts(many), share)
    rng = np.random.default_rng(0)
    draws = [mixed.draw(10, rng) for _ in range(200)]
    counts = [sum(start.kind == "keyframe" for start in draw) for draw in draws]
    assert all(len(draw) == 10 for draw in draws) and set(counts) == allowed
    assert np.mean(counts) == pytest.approx(10 * share, abs=0.2)


def test_empty_starts_and_impossible_shares_are_refused(make_episode):
    with pytest.raises(UserError, match="no starts to draw from"):
        KeyframeStarts(())
    one = InitialStarts((start_at(make_episode(0), 0),))
    with pytest.raises(UserError, match="keyframe_share is"):
        MixedStarts(one, one, 1.1)


def test_a_tasks_keyframe_is_a_lead_before_its_median_success_or_the_middle(make_store, make_episode):
    successes = [make_episode(seed, 40, success_at=at) for seed, at in enumerate((20, 26, 35))]
    never = [make_episode(seed, length, task="lift_red") for seed, length in enumerate((20, 30, 40))]
    store = make_store([*successes, make_episode(9, 40), *never])
    assert keyframe_steps(store, lead=12) == {"push_red": 14, "lift_red": 15}
    assert keyframe_steps(store, lead=30)["push_red"] == 1  # never before the first action


def test_keyframes_are_cut_around_the_index_before_success_and_before_the_end(make_store, make_episode):
    store = make_store([make_episode(0, 40, success_at=25), make_episode(1, 40, success_at=14), make_episode(2, 22)])
    index = keyframe_steps(store, lead=12)["push_red"]  # median 19.5
    assert index == 8
    steps = {(start.seed, start.step) for start in keyframes(store, lead=12, spread=6)}
    assert steps == {(0, 2), (0, 8), (0, 14), (1, 2), (1, 8), (2, 2), (2, 8)}
    exact = {(start.seed, start.step) for start in keyframes(store, lead=12, spread=0)}
    assert exact == {(0, 8), (1, 8), (2, 8)}


def test_exported_keyframes_come_back_as_they_were(make_store, make_episode, tmp_path):
    store = make_store([make_episode(0, 40, success_at=25), make_episode(1, 40), make_episode(0, 30, task="lift_red")])
    found = keyframes(store)
    export_keyframes(tmp_path / "keyframes.json", found)
    again = import_keyframes(tmp_path / "keyframes.json", store)
    assert len(again) == len(found) > 3
    for one, two in zip(again, found, strict=True):
        assert (one.task, one.seed, one.step) == (two.task, two.seed, two.step)
        for name in ("anchor", "memory", "memory_actions", "state"):
            assert (getattr(one, name) == getattr(two, name)).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"task": "push_red", "seed": 7, "step": 2}]', "not in the store"),
        ('[{"task": "push_red", "seed": 0, "step": 99}]', "outside an episode"),
        ('[{"task": "push_red", "seed": 0}]', "is no keyframe"),
        ('[{"task": "push_red", "seed": "zero", "step": 1}]', "is no keyframe"),
        ('["push_red"]', "is no keyframe"),
        ('{"task": "push_red"}', "is no list of keyframes"),
        ("7", "is no list of keyframes"),
        ("[", "not valid JSON"),
    ],
)
def test_a_defective_keyframe_file_is_refused(make_store, make_episode, tmp_path, text, message):
    path = tmp_path / "keyframes.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        import_keyframes(path, make_store([make_episode(0)]))


def test_a_keyframe_of_an_episode_that_is_there_twice_is_refused(make_store, make_episode, tmp_path):
    store = make_store([make_episode(0, 30), make_episode(0, 40), make_episode(1)])
    export_keyframes(tmp_path / "keyframes.json", [start_at(store[0], 5)])
    with pytest.raises(UserError, match="more than one episode"):
        import_keyframes(tmp_path / "keyframes.json", store)
    export_keyframes(tmp_path / "keyframes.json", [start_at(store[2], 5)])
    assert import_keyframes(tmp_path / "keyframes.json", store)[0].seed == 1
