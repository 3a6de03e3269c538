"""Evaluation that goes on where it was stopped, with the same outcomes as one that was not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.measure.resumable_evaluation import ResumableEvaluationConfig, evaluate_resumable
from wovr_lab.real.process_pool import PooledChunkEnv, Workers
from wovr_lab.real.tabletop.chunk_env import initial_start
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.runs import read_json
from wovr_lab.types import CHUNK, ActionChunk

CONFIG = ResumableEvaluationConfig(
    ("push_red",), (0, 1, 2, 3), run_seed=0, temperature=0.0, protocol={"policy": "expert"}
)


class ExpertOnEvenSeeds:
    """Repeats the expert's actions in episodes that begin at even seeds; stands still in the others."""

    def __init__(self, stops_before: int = 100):
        self.decisions, self.stops_before, self.groups = 0, stops_before, 0
        self.known = {}
        for seed in (0, 2):
            episode = next(expert_episodes("push_red", [seed], noise=0.0, hold_after_success=16))
            self.known[initial_start("push_red", seed).anchor.tobytes()] = episode.actions

    def act(self, observation, instructions, generator: torch.Generator, temperature: float) -> ActionChunk:
        if any(frame.tobytes() in self.known for frame in observation["frame"]):
            self.rows = [self.known.get(frame.tobytes()) for frame in observation["frame"]]
            self.decisions, self.groups = 0, self.groups + 1
            if self.groups == self.stops_before:
                raise KeyboardInterrupt
        actions = np.zeros((len(instructions), CHUNK, 7), np.float32)
        for row, known in enumerate(self.rows):
            if known is not None:
                chosen = known[self.decisions * CHUNK :][:CHUNK]
                actions[row, : len(chosen)] = chosen
        self.decisions += 1
        return ActionChunk(actions)


@pytest.fixture(scope="module")
def env():
    workers = Workers(partial(TabletopEnv, resolution=32, max_steps=48), processes=1)
    yield PooledChunkEnv(workers, 2, every_frame=False)
    workers.close()


def films_in(folder: Path) -> dict[str, int]:
    return {path.name: int(path.read_text()) for path in sorted(folder.glob("videos/*"))}


def save_length(path: Path, film: np.ndarray) -> None:
    assert film.shape[1:] == (256, 256, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(len(film)))


def test_a_stopped_evaluation_goes_on_and_ends_as_if_it_had_not_been_stopped(env, tmp_path: Path):
    whole = evaluate_resumable(env, ExpertOnEvenSeeds(), CONFIG, tmp_path / "whole", save_length)
    assert whole.succeeded.tolist() == [True, False, True, False]
    with pytest.raises(KeyboardInterrupt):
        evaluate_resumable(env, ExpertOnEvenSeeds(stops_before=2), CONFIG, tmp_path / "cut", save_length)
    assert [entry["seed"] for entry in read_json(tmp_path / "cut" / "episodes.json")] == [0, 1]
    actor = ExpertOnEvenSeeds()
    again = evaluate_resumable(env, actor, CONFIG, tmp_path / "cut", save_length)
    assert actor.groups == 1 and again.succeeded.tolist() == whole.succeeded.tolist()
    assert read_json(tmp_path / "cut" / "episodes.json") == read_json(tmp_path / "whole" / "episodes.json")
    films = films_in(tmp_path / "cut")
    assert films == films_in(tmp_path / "whole") and set(films) == {"push_red-failure.mp4", "push_red-success.mp4"}
    assert films["push_red-failure.mp4"] == 49 > films["push_red-success.mp4"]


def test_the_protocol_is_kept_with_the_outcomes_and_another_one_is_refused(env, tmp_path: Path):
    few = replace(CONFIG, seeds=(0, 1))
    evaluate_resumable(env, ExpertOnEvenSeeds(), few, tmp_path, save_length)
    card = read_json(tmp_path / "protocol.json")
    assert card == {"tasks": ["push_red"], "seeds": [0, 1], "run_seed": 0, "temperature": 0.0, "policy": "expert"}
    with pytest.raises(UserError, match="another protocol"):
        evaluate_resumable(env, ExpertOnEvenSeeds(), replace(few, temperature=1.0), tmp_path, save_length)
