"""Borders check types as well as shapes: what can be understood is taken, all else refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from wovr_lab.borders import as_array, as_floats, as_frames, as_path, as_texts
from wovr_lab.errors import InputWarning, UserError
from wovr_lab.policy.language import Instructions, build_tokenizer
from wovr_lab.real.chunk_env import RealChunkEnv
from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.start_checks import check_start
from wovr_lab.types import CHUNK, Start

NO_ARRAYS: dict[str, Any] = {
    "a dictionary": {"action": 1}, "text": "left", "None": None, "a ragged list": [[1, 2], [3]],
    "complex": np.ones(7) * 1j,
    "objects": np.array([None, {}], object), "words": np.array(["a", "b"]), "a set": {1, 2}, "a function": len,
    "times": np.array(["2024-01-01"], "datetime64[D]"), "bytes": b"\x00\x01",
}  # fmt: skip
every_wrong_array = pytest.mark.parametrize("wrong", NO_ARRAYS.values(), ids=NO_ARRAYS)


@pytest.fixture(scope="module")
def env() -> RealChunkEnv:
    made = RealChunkEnv(lambda: TabletopEnv(resolution=32, max_steps=16), 2)
    made.reset(seed=0)
    return made


@pytest.fixture(scope="module")
def start() -> Start:
    return initial_start("push_red", 0)


@every_wrong_array
def test_what_is_no_array_of_numbers_is_refused_at_every_border(env, start, wrong):
    single = gymnasium.make("wovr_lab/Tabletop-v0").unwrapped
    single.reset(seed=0)
    calls = [
        lambda: as_array(wrong, "x"), lambda: as_frames(wrong), lambda: as_floats(wrong, "x", (7,)),
        lambda: env.step(wrong), lambda: single.step(wrong), lambda: env.reset(seed=0, options={"starts": [wrong] * 2}),
        lambda: check_start(replace(start, memory_actions=wrong), start.anchor.shape),
        lambda: check_start(replace(start, memory=wrong), start.anchor.shape),
        lambda: check_start(replace(start, anchor=wrong), start.anchor.shape),
    ]  # fmt: skip
    if wrong is not None:
        calls.append(lambda: env.reset(seed=0, options={"reset_mask": wrong}))
    for call in calls:
        with pytest.raises(UserError):
            call()


def test_views_other_widths_lists_and_tensors_are_taken_as_what_they_say(env):
    frames = np.random.default_rng(0).integers(0, 255, (2, 4, 4, 3)).astype(np.uint8)
    for same in (
        frames,
        frames.tolist(),
        torch.as_tensor(frames),
        frames.astype(np.int64),
        frames[::-1, :, ::-1][::-1, :, ::-1],
    ):
        found = as_frames(same)
        assert found.dtype == np.uint8 and (found == frames).all() and found.flags.c_contiguous
    actions = np.linspace(-1, 1, 2 * CHUNK * 7).reshape(2, CHUNK, 7)
    grown = torch.as_tensor(actions, dtype=torch.bfloat16).requires_grad_()
    for same in (actions, actions.tolist(), actions.astype(np.float16), grown, actions[::-1][::-1]):
        assert np.allclose(env.check_actions(same), actions, atol=0.01)
    assert as_array(np.float64(3), "x").shape == () and as_array(3, "x").shape == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39, 300.0])
def test_numbers_that_are_none_and_pictures_of_floats_are_refused(value):
    with pytest.raises(UserError, match="NaN or infinity" if value != 300 else "shape"):
        as_floats(np.full((2,), value), "x", (2,) if value != 300 else (3,))
    with pytest.raises(UserError, match="uint8"):
        as_frames(np.full((4, 4, 3), value))


def test_paths_may_be_text_and_what_is_none_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/a") == tmp_path / "a" and as_path(Path("b")) == Path("b")
    for wrong in (3, None, b"a", "", "a\0b", ["a"]):
        with pytest.raises(UserError):
            as_path(wrong)


@pytest.mark.parametrize("wrong", ["one text", ["a"], ["a", 3], {"a": 1}, None, 3])
def test_instructions_are_one_text_a_row(wrong):
    assert as_texts(["a", "b"], "instructions", 2) == ("a", "b")
    with pytest.raises(UserError, match="instructions"):
        as_texts(wrong, "instructions", 2)


def test_a_reset_takes_seeds_as_gymnasium_does_and_no_unknown_option(env):
    together = env.reset(seed=[3, 4])[1]["states"]
    assert (env.reset(seed=(3, 4))[1]["states"] == together).all()
    assert (env.reset(seed=np.array([3, 5]))[1]["states"][0] == together[0]).all()
    assert env.reset(seed=1, options={"starts": None, "reset_mask": None})[0]["frame"].shape[0] == 2
    for seed in ([1], [1, 2, 3], [1, "2"], [1, None], 1.5, -1, "1", [1.5, 2], float("nan")):
        with pytest.raises(UserError):
            env.reset(seed=seed)
    for options in ({"start": []}, {1: 2}, [1], "starts", {"reset_mask": [0, 1]}, {"reset_mask": [True]}):
        with pytest.raises(UserError):
            env.reset(seed=0, options=options)


def test_a_start_with_nan_is_refused_and_a_black_one_is_doubted(start):
    shape = start.anchor.shape
    for wrong in (
        {"memory_actions": start.memory_actions * np.nan}, {"step": 1.5}, {"step": -1}, {"instruction": None},
        {"memory": start.memory[:2]}, {"anchor": start.anchor[:5]}, {"proprio": np.full((4, 3), np.nan)},
    ):  # fmt: skip
        with pytest.raises(UserError):
            check_start(replace(start, **wrong), shape)
    with pytest.warns(InputWarning, match="black all over"):
        check_start(replace(start, anchor=start.anchor * 0), shape)


def test_a_start_at_which_the_task_is_done_is_doubted(start):
    single = TabletopEnv("push_red", 32)
    single.reset(seed=0)
    single.success = True
    done = replace(start, state=single.get_state())
    env = RealChunkEnv(lambda: TabletopEnv(resolution=32, max_steps=16), 1)
    with pytest.warns(InputWarning, match="done already at 1 of 1 starts"):
        env.reset(seed=0, options={"starts": [done]})


@pytest.mark.parametrize(
    "words, named", [("推到区域", "推到区域"), ("", "no word"), ("...", "no word"), ("push blorb", "blorb")]
)
def test_words_that_a_policy_never_saw_are_named_once(words, named, recwarn):
    instructions = Instructions(build_tokenizer(["push the red cube into the zone"]), 24)
    instructions.ids("PUSH the red cube into the zone. ")
    assert not recwarn
    with pytest.warns(InputWarning, match=named):
        instructions.ids(words)
    recwarn.clear()
    instructions.ids(words)
    assert not recwarn
