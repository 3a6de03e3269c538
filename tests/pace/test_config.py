"""What a run may be configured to do, and what is refused before anything is collected."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from wovr_lab.errors import UserError
from wovr_lab.pace.config import SCALES
from wovr_lab.pace.data import SEEDS, evaluation_starts, seeds
from wovr_lab.pace.learning import policy_size
from wovr_lab.pace.presets import preset
from wovr_lab.pace.settings import changed, to_dict


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_can_be_made_within_its_own_budget(scale):
    config = preset(scale, seed=3)
    assert (config.scale, config.seed) == (scale, 3)
    assert config.real_episodes <= config.data.budget * len(config.tasks)


def test_policies_have_sixteen_image_tokens_and_keyframes_half_a_rollouts_lead_at_every_scale():
    for scale in SCALES:
        config = preset(scale)
        size = policy_size(config, 20)
        assert (size.resolution, size.pixels_per_token, size.stem_width, size.view) == (32, 8, 32, "whole")
        assert config.rl.keyframe_lead == 12
    larger = policy_size(replace(preset("smoke"), resolution=64), 20)
    assert (larger.pixels_per_token, larger.stem_width, larger.resolution // larger.pixels_per_token) == (16, 16, 4)


def test_an_unknown_scale_is_refused_by_the_names_of_those_that_exist():
    with pytest.raises(UserError, match="unknown scale 'huge'; scales: smoke, demo, full"):
        preset("huge")


def test_an_unknown_setting_is_refused_by_the_name_of_the_one_that_was_meant():
    with pytest.raises(UserError, match=r"RunConfig has no setting 'keyframe_share'; did you mean rl.keyframe_share\?"):
        changed(preset("smoke"), {"keyframe_share": 0.5})


def test_an_unknown_task_is_refused():
    with pytest.raises(UserError, match="juggle"):
        preset("smoke", tasks=("push_red", "juggle"))


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": ()},
        {"data.rollouts": 0},
        {"max_steps": 50},
        {"scale": "huge"},
        {"rl.iterations": ()},
        {"rl.keyframe_steps": 3},
        {"rl.keyframe_share": 1.5},
        {"rl.kl_coef": -0.1},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(changes):
    with pytest.raises(UserError):
        changed(preset("smoke"), changes)


def test_a_budget_too_small_for_the_run_is_refused_before_anything_is_collected():
    needed = preset("smoke").real_episodes
    # two tasks: examples, rollouts, confronted and fresh ones, six policies of the gate and two groups of two, looks of
    # two starts: three in the first phase, and one more at what the second is given
    assert needed == 2 * (2 + 3 + 1 + 2 + 6 * 1 + 2 * 2 + 2 * (3 + 4))
    assert changed(preset("smoke"), {"rl.filtered_bc": None}).real_episodes == needed - 2 * 2
    changed(preset("smoke"), {"data.budget": 32})
    with pytest.raises(UserError, match="would use 64 real episodes, its budget is 62"):
        changed(preset("smoke"), {"data.budget": 31})


def test_a_described_configuration_is_json_that_names_its_mechanisms():
    found = json.loads(json.dumps(to_dict(preset("smoke"))))
    assert found == to_dict(preset("smoke"))
    assert found["rl"]["mask"]["kind"] == "SuccessMask"
    assert found["world"]["training"]["fit"]["steps"] == 6
    assert to_dict(changed(preset("smoke"), {"rl.keyframe_share": 0.0})) != found


def test_purposes_never_share_a_seed_with_each_other_or_with_the_evaluation():
    ranges = sorted((first, first + size) for first, size in SEEDS.values())
    assert all(end <= begin for (_, end), (begin, _) in pairwise(ranges))
    assert ranges[-1][1] <= 10_000
    assert [start.seed for start in evaluation_starts(preset("smoke"))] == [10_000, 10_001, 10_002, 10_003] * 2


def test_seeds_of_a_purpose_depend_on_the_run_and_keep_to_their_range():
    one, other = (seeds(preset("smoke", seed), "gate", 20) for seed in (0, 1))
    assert one != other
    assert one == seeds(preset("smoke", 0), "gate", 20)
    assert len(set(one)) == 20 and all(3000 <= seed < 4000 for seed in one + other)
