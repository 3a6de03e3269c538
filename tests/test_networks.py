"""A network's folder says what it is; sizes that no network has are refused before any memory is asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.networks import load_model
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import read_json
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.pixel_network import PixelNetwork
from wovr_lab.world.state_head import StateHead
from wovr_lab.world.transformer import ActionWanTransformer

DATA = Path(__file__).parent.parent / "data"
NETWORKS = {
    "demo/checkpoints/reward": SuccessClassifier,
    "demo/checkpoints/world/network": PixelNetwork,
    "demo/checkpoints/world/state_head": StateHead,
    "backbone/codec": FrameGroupCodec,
    "backbone/transformer": ActionWanTransformer,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_damaged_sizes_are_one_error(tmp_path, name):
    copy = shutil.copytree(DATA / name, tmp_path / "copy")
    good = read_json(copy / "config.json")
    sizes = [entry for entry, value in good.items() if type(value) is int]
    assert sizes
    for entry in sizes:
        for wrong in (-1, 10**9, 10**30):
            (copy / "config.json").write_text(json.dumps(good | {entry: wrong}))
            with pytest.raises(UserError, match=entry):
                load_model(NETWORKS[name], copy)
    for text in ("[]", "{", "null", "{}", '{"_class_name": 3}', "NaN", "1e999"):
        (copy / "config.json").write_text(text)
        with pytest.raises(UserError):
            load_model(NETWORKS[name], copy)
