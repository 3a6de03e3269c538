import json

import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.runs import load_tensors, save_tensors

INSTRUCTIONS = ("push the red cube into the zone", "put the red cube on the plate", "push the blue one")


@pytest.fixture
def saved(policy, tmp_path):
    save_policy(policy, tmp_path / "policy")
    return tmp_path / "policy"


def test_a_loaded_policy_decides_exactly_as_the_saved_one(policy, saved, frames):
    loaded = load_policy(saved)
    assert type(loaded) is VLAPolicy and not loaded.training
    assert torch.equal(loaded.bin_centres, policy.bin_centres)
    novel = (*INSTRUCTIONS[:2], "push the unheard-of one")
    assert torch.equal(loaded.logits({"frame": frames}, novel), policy.logits({"frame": frames}, novel))


def test_saving_again_replaces_the_old_policy_and_leaves_nothing_else(policy, saved):
    with torch.no_grad():
        policy.queries.add_(1.0)
    save_policy(policy, saved)
    assert torch.equal(load_policy(saved).queries, policy.queries)
    assert [path.name for path in saved.parent.iterdir()] == ["policy"]


def test_weights_of_another_architecture_are_refused_by_name(saved, tmp_path):
    config = VLAConfig(stem_width=8, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, max_words=8)
    save_policy(VLAPolicy.create(config, build_tokenizer(INSTRUCTIONS), 0), tmp_path / "wide")
    (saved / "model.safetensors").write_bytes((tmp_path / "wide" / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"another architecture.*expected"):
        load_policy(saved)


def test_missing_weights_are_refused_rather_than_filled_with_random_ones(saved):
    tensors = load_tensors(saved / "model.safetensors")
    del tensors["head.bias"]
    save_tensors(saved / "model.safetensors", tensors)
    with pytest.raises(UserError, match=r"1 tensors differ, e\.g\. head\.bias"):
        load_policy(saved)


def test_truncated_weights_are_refused(saved):
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load_policy(saved)


def test_another_kind_of_model_another_resolution_and_an_empty_folder_are_refused(saved, tmp_path):
    with pytest.raises(UserError, match="64 x 64 were asked for"):
        load_policy(saved, resolution=64)
    with pytest.raises(UserError, match="holds no policy"):
        load_policy(tmp_path)
    (saved / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="'bert' model"):
        load_policy(saved)
