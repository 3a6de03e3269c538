"""The tabletop: Gymnasium's contract, exact states, success that means what the words say, starts at rest."""

import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from wovr_lab.errors import UserError
from wovr_lab.real.tabletop.env import BACK, FRONT, HAND, TabletopEnv
from wovr_lab.real.tabletop.expert import expert_action
from wovr_lab.real.tabletop.scene import CLOSED, CUBE_HALF, OPEN, ZONE_HALF
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.types import NOOP


def random_actions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 7)).astype(np.float32)


def put(env: TabletopEnv, cube: slice, position: list[float]) -> None:
    env.data.qpos[cube] = [*position, 1, 0, 0, 0]
    env.data.qvel[:] = 0


def hold(env: TabletopEnv, count: int, gripper: float = -1.0) -> None:
    for _ in range(count):
        env.apply_action(np.array([0, 0, 0, 0, 0, 0, gripper]))


@pytest.mark.parametrize("task", TASKS)
def test_gymnasium_finds_nothing_to_say_about_the_registered_environment(task):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("wovr_lab/Tabletop-v0", task=task, resolution=32, render_mode="rgb_array").unwrapped
        check_env(env)
    assert env.max_steps == 48
    assert env.render().shape == (256, 256, 3)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_start_and_another_seed_another_one(task):
    one, two = TabletopEnv(task, 32), TabletopEnv("push_red", 32)
    first, _ = one.reset(seed=5)
    two.reset(seed=1)
    second, _ = two.reset(seed=5, options={"task": task})
    assert (first["frame"] == second["frame"]).all() and (one.get_state() == two.get_state()).all()
    third, _ = two.reset(seed=6)
    assert (first["frame"] != third["frame"]).any()


@pytest.mark.parametrize(("task", "other"), [("push_blue", "green_on_plate"), ("red_on_plate", "push_red")])
def test_a_state_restored_in_an_instance_of_another_task_goes_on_bit_equal(task, other):
    env, copy = TabletopEnv(task, 32), TabletopEnv(other, 32)
    env.reset(seed=3)
    copy.reset(seed=9)
    for _ in range(14):  # into contact, so that warm starts of the solver matter
        env.step(expert_action(env.readout(), env.definition))
    state = env.get_state()
    observation, info = copy.reset(options={"task": task, "state": state})
    assert info["step"] == 14 and copy.instruction == env.instruction
    assert (copy.get_state() == state).all() and (observation["frame"] == env.render_frame()).all()
    for action in random_actions(12):
        one, two = env.step(action), copy.step(action)
        assert (one[0]["frame"] == two[0]["frame"]).all() and one[1:] == two[1:]
        assert (env.get_state() == copy.get_state()).all()


def test_a_state_carries_success_and_half_confirmed_success():
    env, copy = TabletopEnv("push_red", 32), TabletopEnv("push_red", 32)
    env.reset(seed=0)
    put(env, FRONT, [env.goal[0], env.goal[1], CUBE_HALF])
    hold(env, 1)
    copy.set_state(env.get_state())
    assert not copy.success
    hold(copy, 1)
    assert copy.success
    put(copy, FRONT, [0.0, -0.1, CUBE_HALF])
    copy.set_state(copy.get_state())
    hold(copy, 2)
    assert copy.success  # latched


@pytest.mark.parametrize(
    "broken",
    [lambda s: s[:-1], lambda s: np.where(np.arange(len(s)) == 3, np.nan, s), lambda s: np.append(s[:-1], 7.0)],
)
def test_what_is_not_a_state_is_refused(broken):
    env = TabletopEnv("push_red", 32)
    env.reset(seed=0)
    with pytest.raises(UserError, match="not a tabletop state"):
        env.set_state(broken(env.get_state()))


def test_a_state_of_another_task_than_asked_for_is_refused():
    env = TabletopEnv("push_red", 32)
    env.reset(seed=0)
    with pytest.raises(UserError, match="belongs to task 'push_red'"):
        TabletopEnv("push_blue", 32).reset(options={"task": "push_blue", "state": env.get_state()})


@pytest.mark.parametrize("action", [np.full(7, np.nan), np.full(7, 1.2), np.zeros(6)])
def test_bad_actions_are_refused_and_change_nothing(action):
    env = TabletopEnv("push_red", 32)
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(UserError):
        env.step(action)
    assert (env.get_state() == before).all()


def test_bad_construction_and_reset_options_are_refused():
    for bad in ({"task": "juggle"}, {"resolution": 4}, {"max_steps": 0}, {"render_mode": "human"}):
        with pytest.raises(UserError):
            TabletopEnv(**bad)
    with pytest.raises(UserError, match="unknown reset options"):
        TabletopEnv().reset(options={"tsak": "push_red"})


@pytest.mark.parametrize("task", ["push_red", "red_on_plate"])
def test_nothing_touches_anything_but_the_table_at_the_start_and_everything_stays(task):
    env = TabletopEnv(task, 32)
    table = env.model.geom("table").id
    for seed in range(60):
        env.reset(seed=seed)
        start = env.data.qpos.copy()
        mujoco.mj_forward(env.model, env.data)
        for contact in env.data.contact[: env.data.ncon]:
            assert table in (contact.geom1, contact.geom2) and contact.dist > -1e-3, f"seed {seed} begins in collision"
        if seed % 20 == 0:
            hold(env, 5)
            assert np.abs(env.data.qpos[:14] - start[:14]).max() < 1e-3 and not env.success


def test_pushing_the_wrong_cube_into_the_zone_does_not_count():
    env = TabletopEnv("push_red", 32)
    for seed in range(4):
        env.reset(seed=seed, options={"task": "push_red"})
        red = env.readout().cubes["red"]
        for _ in range(env.max_steps):
            env.apply_action(expert_action(env.readout(), TASKS["push_blue"]))
        view = env.readout()
        assert (np.abs(view.cubes["blue"][:2] - view.goal) < ZONE_HALF).all()
        assert not env.success
        assert np.abs(view.cubes["red"] - red).max() < 1e-3, "pushing one cube moved the other"


def test_putting_the_wrong_cube_on_the_plate_does_not_count():
    env = TabletopEnv("green_on_plate", 32)
    env.reset(seed=0)
    put(env, FRONT, [*env.goal, 0.036])
    hold(env, 4)
    assert not env.success
    env.reset(seed=0)
    put(env, BACK, [*env.goal, 0.036])
    hold(env, 4)
    assert env.success


def test_a_cube_counts_as_pushed_only_inside_the_zone_and_after_two_steps():
    env = TabletopEnv("push_red", 32)
    for depth, expected in ((-0.004, False), (0.004, True)):
        env.reset(seed=1)
        put(env, FRONT, [0.0, env.goal[1] - ZONE_HALF[1] + depth, CUBE_HALF])
        hold(env, 1)
        assert not env.success
        hold(env, 1)
        assert env.success == expected


def test_a_cube_held_over_the_plate_does_not_count():
    env = TabletopEnv("red_on_plate", 32)
    env.reset(seed=0)
    put(env, FRONT, [*env.goal, 0.036])
    env.data.qpos[HAND] = [*env.goal, 0.034, 0]
    env.data.ctrl[:3] = env.data.qpos[HAND][:3]
    hold(env, 6, gripper=1.0)
    assert not env.success
    hold(env, 6)
    assert env.success


def test_the_gripper_closes_above_zero_and_roll_and_pitch_do_nothing():
    env = TabletopEnv("push_red", 32)
    env.reset(seed=0)
    hold(env, 6, gripper=0.1)
    assert env.readout().opening == pytest.approx(2 * CLOSED, abs=2e-3)
    hold(env, 6, gripper=0.0)
    assert env.readout().opening == pytest.approx(2 * OPEN, abs=2e-3)
    target = env.readout().target
    env.apply_action(np.array([0, 0, 0, 1, -1, 0, -1]))
    assert (env.readout().target == target).all()
    env.apply_action(np.array([1, 0, 0, 0, 0, 1, -1]))
    assert env.readout().target - target == pytest.approx([0.018, 0, 0, 0.08])


def test_an_episode_ends_at_success_or_after_max_steps():
    env = TabletopEnv("push_red", 32, max_steps=3)
    env.reset(seed=0)
    ends = [env.step(NOOP)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    env.reset(seed=0)
    put(env, FRONT, [*env.goal, CUBE_HALF])
    results = [env.step(NOOP)[1:4] for _ in range(3)]
    assert results == [(0.0, False, False), (1.0, True, False), (0.0, True, False)]
