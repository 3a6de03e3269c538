"""Policies on disk: a folder with weights (safetensors), configuration and tokenizer, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.policy.language import load_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.runs import check_finite, read_object, replacing

WEIGHTS = "model.safetensors"


def save_policy(policy: VLAPolicy, folder: Path | str) -> None:
    """Writes a policy under a temporary name and renames it. Raises UserError if the disk is full."""
    with replacing(folder, "policy") as partial:
        policy.save_pretrained(partial)


def load_policy(folder: Path | str, resolution: int | None = None) -> VLAPolicy:
    """The policy in `folder`, in eval mode.

    Raises UserError if there is none, if it is damaged or of another architecture, or if it sees pictures of another
    resolution than the one asked for.
    """
    folder = as_path(folder)
    for name in ("config.json", "tokenizer.json", WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} holds no policy ({name} is missing); train one with the sft stage first")
    described = read_object(folder / "config.json")
    if described.get("model_type") != VLAConfig.model_type:
        kind = described.get("model_type")
        raise UserError(f"{folder} holds a {kind!r} model, not a wovr_lab policy; give another folder")
    _check_weights(folder)
    policy = VLAPolicy.from_pretrained(folder)
    check_finite(policy, folder)
    if resolution is not None and policy.config.resolution != resolution:
        raise UserError(
            f"the policy in {folder} sees {policy.config.resolution} x {policy.config.resolution} pictures, "
            f"{resolution} x {resolution} were asked for; render at its resolution or train another"
        )
    return policy


def _check_weights(folder: Path) -> None:
    """The library would fill missing or misshapen tensors with random numbers; we refuse them."""
    config = VLAConfig.from_pretrained(folder, local_files_only=True)
    tokenizer = load_tokenizer(folder, config.vocab_size)
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in VLAPolicy(config, tokenizer).state_dict().items()}
    path = folder / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); restore or retrain the policy") from error
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if different:
        name = different[0]
        raise UserError(
            f"{folder} holds weights of another architecture than its config.json describes ({len(different)} tensors "
            f"differ, e.g. {name}: expected {expected.get(name)}, found {found.get(name)}); restore or retrain it"
        )
