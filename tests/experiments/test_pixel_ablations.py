"""Ablations in pixels at a tiny scale: what differs between variants, and that a second call trains nothing again."""

from dataclasses import replace
from pathlib import Path

import pytest

from wovr_lab.errors import UserError
from wovr_lab.experiments.pixel_ablations import PIXEL_VARIANTS, ablate_pixels
from wovr_lab.measure.tabletop.probes import load_probe
from wovr_lab.pace.presets import preset
from wovr_lab.real.tabletop.driving import driven_episodes
from wovr_lab.world.pixel_model import PixelWorldModel

NAMES = ("full", "no_state", "two_hypotheses", "memory_1")


def test_each_variant_lacks_its_mechanism_and_a_second_call_trains_none_again(tmp_path: Path):
    config = preset("smoke", world="pixels")
    episodes = [replace(episode, task="push_red") for episode in driven_episodes(4, 0, steps=40)]
    given = (config, episodes[:2], episodes[2:], config.world.training, tmp_path, load_probe())
    rows = ablate_pixels(*given, names=NAMES)
    assert [row["variant"] for row in rows] == list(NAMES)
    assert all(row["n"] == 2 and len(row["psnr_db"]) == len(row["depths"]) == 4 for row in rows)
    worlds = {name: PixelWorldModel.load(tmp_path / f"{name}-0" / "world") for name in NAMES}
    assert worlds["full"].robot is not None and worlds["no_state"].robot is None
    assert rows[0]["state_hand_cm"] is not None and rows[1]["state_hand_cm"] is None
    assert worlds["two_hypotheses"].network.config.hypotheses == 2 and worlds["memory_1"].context.memory == 1
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert ablate_pixels(*given, names=NAMES) == rows
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert set(NAMES) < PIXEL_VARIANTS.keys()


def test_an_unknown_variant_and_a_latent_configuration_are_refused(tmp_path: Path):
    config, probe = preset("smoke", world="pixels"), load_probe()
    with pytest.raises(UserError, match="no_magic"):
        ablate_pixels(config, [], [], config.world.training, tmp_path, probe, names=("no_magic",))
    with pytest.raises(UserError, match="a latent model"):
        ablate_pixels(preset("smoke"), [], [], config.world.training, tmp_path, probe)
