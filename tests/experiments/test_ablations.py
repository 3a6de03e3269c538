"""Table 4: variants differ in one thing and share everything else, go on where they stopped, and become a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wovr_lab.episodes import EpisodeStore
from wovr_lab.errors import UserError
from wovr_lab.experiments.ablations import VARIANTS, AblationConfig, ablate, held_out_files, with_channels
from wovr_lab.figures.ablation_pictures import draw_ablations
from wovr_lab.measure.video.feature_networks import ShippedFeatures
from wovr_lab.pace.config import LoopConfig
from wovr_lab.pace.scales import scale_config
from wovr_lab.publish.results import markdown_table
from wovr_lab.publish.video_table import write_video_table
from wovr_lab.runs import read_json, write_json
from wovr_lab.training import FitConfig
from wovr_lab.world.model import WorldModel
from wovr_lab.world.training import WorldTrainingConfig
from wovr_lab.world.transformer import ActionWanTransformer

TINY = AblationConfig(
    WorldTrainingConfig(FitConfig(2, 1e-3, 1, ema_decay=0.9), batch=4),
    seeds=(0, 1), rollouts=2, horizons=(16, 32), sampler_steps=(1, 2),
)  # fmt: skip


@pytest.fixture(scope="module")
def done(smoke_run: Path, tmp_path_factory) -> tuple[Path, LoopConfig]:
    """Every variant and seed at a tiny scale, from the smoke run; look only."""
    out, config = tmp_path_factory.mktemp("ablate"), scale_config("smoke")
    return ablate(smoke_run, config, out, TINY, ShippedFeatures()), config


@pytest.fixture
def table(done, tmp_path) -> dict:
    out, config = done
    return write_video_table(out, tmp_path / "video.json", config, TINY, "the command", ShippedFeatures())


@pytest.mark.smoke
def test_every_variant_and_seed_is_trained_once_and_judged_alike(done):
    out, _ = done
    for name in VARIANTS:
        for seed in TINY.seeds:
            assert np.load(out / f"{name}-{seed}" / "films.npy").shape == (2, 33, 32, 32, 3)
            quality = read_json(out / f"{name}-{seed}" / "all.json")
            assert {len(values) for by in quality["rollouts"].values() for values in by.values()} == {4}
    assert (out / "full-0" / "steps_2.json").exists() and not (out / "memory_1-0" / "steps_2.json").exists()
    assert (out / "full-1" / "improved.json").exists()
    assert WorldModel.load(out / "memory_1-0" / "world").context.memory == 1
    assert WorldModel.load(out / "attention_only-0" / "world").transformer.config.action_channels == "attention"
    films = {name: np.load(out / f"{name}-0" / "films.npy") for name in VARIANTS}
    assert all((film[:, 0] == films["full"][:, 0]).all() for film in films.values())
    assert all((films[name] != films["full"]).any() for name in VARIANTS if name != "full")


@pytest.mark.smoke
def test_a_second_call_makes_only_what_is_missing(done, smoke_run):
    out, config = done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    lost = out / "no_reference-1" / "all.json"
    old = read_json(lost)
    lost.unlink()
    ablate(smoke_run, config, out, TINY, ShippedFeatures())
    assert read_json(lost)["rollouts"].keys() == old["rollouts"].keys()
    assert read_json(lost)["rollouts"]["psnr"] == old["rollouts"]["psnr"]
    changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed <= {lost, out / "config.json"}


@pytest.mark.smoke
def test_held_out_rollouts_begin_where_no_training_did_and_go_on_after_success(done, smoke_run):
    out, config = done
    for name, path in held_out_files(smoke_run, config, out, TINY).items():
        store = EpisodeStore([path])
        assert len(store) == 2 and {episode.seed for episode in store} == {10_000, 10_001}, name
        assert {len(episode) for episode in store} == {32}


@pytest.mark.smoke
def test_the_table_has_a_row_for_every_setting_metric_and_depth(table):
    rows = {(row["setting"], row["task"], row["metric"], row["depth"]): row for row in table["rows"]}
    settings = {*VARIANTS, "full_2_steps", "codec_alone", "copied_first_frame"}
    assert {row["setting"] for row in table["rows"]} == settings and len(rows) == len(table["rows"])
    assert len(rows) == (len(settings) + 1) * 6 * 2  # and full on the improved policy's rollouts
    row = rows["memory_1", "all", "psnr", 32]
    assert row["n"] == 8 and row["seeds"] == [0, 1] and row["value"] == pytest.approx(np.mean(row["per_seed"]))
    assert all(row["low"] <= row["value"] <= row["high"] for row in table["rows"])
    assert "than" not in rows["full", "all", "psnr", 32] and {"commit", "versions", "protocol"} <= table.keys()
    text = markdown_table(table)
    assert text.splitlines()[0].startswith("| setting | psnr 32 | efficientnet_distance 16 |")
    assert len(text.splitlines()) == 2 + len(settings)


@pytest.mark.smoke
def test_the_picture_shows_real_and_every_variant(done, tmp_path):
    out, _ = done
    draw_ablations(out, tmp_path / "video.png", 0, TINY.horizons)
    width, height = Image.open(tmp_path / "video.png").size
    assert height > 2 * (1 + len(VARIANTS)) * 32 * 3 and width > 5 * 32 * 3


@pytest.mark.smoke
def test_other_settings_in_the_same_folder_are_refused(done, smoke_run):
    out, config = done
    with pytest.raises(UserError, match="was made with other settings"):
        ablate(smoke_run, config, out, AblationConfig(rollouts=3), ShippedFeatures())


def test_a_run_that_imagines_in_pixels_has_not_what_is_taken_away(tmp_path: Path):
    with pytest.raises(UserError, match="give it a run that was made with --world latent"):
        ablate(tmp_path, scale_config("demo"), tmp_path / "out", TINY, ShippedFeatures())
    assert not (tmp_path / "out").exists()


def qualities(folder: Path, setting: str, seed: int, psnr: list[float]) -> None:
    distance = {"16": [-value for value in psnr]}
    rollouts = {"psnr": {"16": psnr}, "efficientnet_distance": distance}
    quality = {"rollouts": rollouts, "sets": {"efficientnet_frechet": {"16": 1.0}}}
    write_json(folder / f"{setting}-{seed}" / "all.json", quality)


def test_worse_and_better_are_said_only_where_the_paired_interval_leaves_zero_out(tmp_path):
    """Rollouts differ by 10 dB among themselves; what counts is the difference on the same rollout."""
    ablation = AblationConfig(seeds=(0, 1), rollouts=2, horizons=(16,), sampler_steps=(1,))
    for seed in (0, 1):
        for setting in VARIANTS:
            change = {"no_reference": [-1, -1.5, -1], "memory_1": [1, 1.5, 1], "no_noisy_context": [-1, 1, 0]}
            psnr = np.array([10.0, 20.0, 30.0]) + change.get(setting, [0, 0, 0])
            qualities(tmp_path, setting, seed, psnr.tolist())
    for reference in ("codec_alone", "copied_first_frame"):
        qualities(tmp_path, reference, 0, [1.0])
        (tmp_path / f"{reference}-0" / "all.json").rename(tmp_path / f"{reference}.json")
    config = scale_config("demo", imagined_in="latent")
    found = write_video_table(tmp_path, tmp_path / "v.json", config, ablation, "", ShippedFeatures())
    verdicts = {(row["setting"], row["metric"]): row.get("than") for row in found["rows"]}
    assert verdicts["no_reference", "psnr"] == "worse" == verdicts["no_reference", "efficientnet_distance"]
    assert verdicts["memory_1", "psnr"] == "better" and verdicts["no_noisy_context", "psnr"] == ""
    row = next(row for row in found["rows"] if (row["setting"], row["metric"]) == ("no_reference", "psnr"))
    assert row["difference"]["value"] == pytest.approx(-3.5 / 3) and row["low"] < 20 < row["high"]


def test_cutting_a_channel_keeps_the_weights_and_changes_what_actions_do():
    size = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 1, "ffn_dim": 64, "in_channels": 8}
    whole = ActionWanTransformer(out_channels=8, freq_dim=32, **size)
    cut = with_channels(whole, "modulation")
    assert cut.config.action_channels == "modulation" and whole.config.action_channels == "both"
    for name, value in whole.state_dict().items():
        assert torch.equal(value, cut.state_dict()[name])
    embed = cut.condition_embedder
    times, actions = torch.zeros(64), torch.randn(1, 13, 7)
    words = [embed(times, each, timestep_seq_len=64)[2] for each in (actions, 2 * actions)]
    assert torch.equal(*words)


def test_an_ablation_that_measures_nothing_is_refused():
    with pytest.raises(UserError, match="AblationConfig cannot be"):
        AblationConfig(seeds=())
