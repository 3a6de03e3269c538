"""Cases are mined in order, kept whole, and come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.measure.tabletop.gallery import hardest_cases, read_gallery, write_gallery
from wovr_lab.starts import start_at
from wovr_lab.types import Rollouts


@pytest.fixture
def rollouts(make_episode) -> Rollouts:
    episodes = [make_episode(seed, 16, size=32, task=task) for seed, task in enumerate(TASKS)]
    return Rollouts(
        starts=tuple(start_at(episode, 0) for episode in episodes),
        frames=np.stack([episode.frames[:16:8] for episode in episodes]),
        actions=np.stack([episode.actions.reshape(2, 8, 7) for episode in episodes]),
        executed=np.ones((len(episodes), 2), bool),
        success=np.zeros((len(episodes), 16), bool),
        video=np.stack([episode.frames for episode in episodes]),
    )


TASKS = ("push_red", "push_red", "push_blue", "push_red", "push_blue", "push_red")


def test_the_worst_of_every_task_come_first_and_kinds_are_told_apart(make_pairs, rollouts):
    pairs = make_pairs([3, 3, 3, -1, -1, 3], [-1, -1, -1, 3, -1, 3], tasks=TASKS)
    for row, error in enumerate([0.01, 0.05, 0.02, 0.03, 0.055, 0.06]):
        pairs.found[row, -1, [4, 7]] = error
    cases = hardest_cases(pairs, rollouts, rollouts, {"policy": "base"}, each=2)
    assert [(case.about["kind"], case.about["seed"]) for case in cases] == [
        ("imagined_only", 1),  # the worst push of the red cube, then the only one of the blue
        ("imagined_only", 2),
        ("real_only", 3),
        ("lost_object", 5),
        ("lost_object", 4),
    ]
    assert cases[0].about["object_cm"] == pytest.approx(5) and cases[0].about["policy"] == "base"
    assert (cases[0].imagined.frames == rollouts.video[1]).all()


def test_a_gallery_comes_back_with_the_most_telling_kinds_first(make_pairs, rollouts, tmp_path):
    pairs = make_pairs([-1, -1, -1, 3, 3, 3], [-1] * 6, tasks=TASKS, cube_error=0.07)
    cases = hardest_cases(pairs, rollouts, rollouts, {"start": "initial"}, each=1)
    write_gallery(tmp_path / "a", cases[1:])
    write_gallery(tmp_path / "b", cases[:1])
    write_gallery(tmp_path / "none", [])
    again = read_gallery(tmp_path)
    assert [case.about for case in again] == [case.about for case in cases]
    for before, after in zip(cases, again, strict=True):
        assert (before.imagined.frames == after.imagined.frames).all()
        assert (before.real.actions == after.real.actions).all()
        assert (before.found == after.found).all() and (before.probability == after.probability).all()


def test_a_gallery_with_a_missing_film_says_so(make_pairs, rollouts, tmp_path):
    cases = hardest_cases(make_pairs([3] * 6, [-1] * 6, tasks=TASKS), rollouts, rollouts, {})
    write_gallery(tmp_path, cases)
    (tmp_path / "real.hdf5").unlink()
    with pytest.raises(UserError, match=r"real\.hdf5"):
        read_gallery(tmp_path)
