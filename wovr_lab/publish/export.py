"""A finished run made small enough to ship: its models, its numbers, a few episodes to look at.

In: a run folder. Out: a smaller folder of the same layout, so that whatever opens a run opens it too, with
`provenance.json`: the command, the commit that shipped it and what each part is.
"""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

from wovr_lab.episodes import EpisodeStore, write_episodes
from wovr_lab.errors import UserError
from wovr_lab.machine import current_commit
from wovr_lab.measure.tabletop.gallery import KINDS, read_gallery, write_gallery
from wovr_lab.outputs import claim_folder, replacing
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import read_json, write_json
from wovr_lab.world.protocol import load_world_model

POLICIES = {"base": "imitates the demonstrations", "improved_2": "after GRPO in imagination, PACE and GRPO again"}
WORLDS = {
    "world": "fine-tuned on the base policy's rollouts",
    "world_evolved": "refined by PACE",
    "world_final": "kept up with the policy of the second phase",
}
REWARDS = {
    "reward": "learnt beside `world`",
    "reward_evolved": "learnt beside `world_evolved`",
    "reward_final": "learnt beside `world_final`",
}
MINED = {"measure/gallery": "hallucinations of these models, mined by wovr-lab measure"}
NUMBERS = (
    "config.json", "report.json", "evaluation.json", "metrics.jsonl", "gate_1.json", "gate_2.json", "monitor_1.json",
    "monitor_2.json", "reward.json", "reward_evolved.json",
)  # fmt: skip
KEYFRAMES = ("keyframes-improve_1.json", "keyframes-improve_2.json")
LATER = ("world_final", "reward_final")  # runs of older versions have none
SHIPPED = "shipped run"
FEW = 2  # episodes a task of every file


def export_run(run: Path, out: Path) -> int:
    """Writes the shipped folder, in the place of an earlier one, and returns its size in bytes.

    Raises UserError if the run is not finished, if its gate kept it from improving a policy, or if `out` holds
    anything but a shipped run.
    """
    out = claim_folder(out, SHIPPED, inputs=[run])
    models = [f"checkpoints/{name}" for name in (*POLICIES, *WORLDS, *REWARDS) if name not in LATER]
    missing = [name for name in (*NUMBERS, *KEYFRAMES, *models) if not (run / name).exists()]
    if missing:
        raise UserError(f"{run} is not a whole run ({missing[0]} is missing); finish it with wovr-lab resume {run}")
    with replacing(out, SHIPPED) as partial:
        partial.mkdir(parents=True)
        for name in NUMBERS:
            shutil.copy(run / name, partial / name)
        shutil.copytree(run / "comparison", partial / "comparison")
        kept = _copy_episodes(run / "episodes", partial / "episodes")
        for name in KEYFRAMES:
            entries = [entry for entry in read_json(run / name) if (entry["task"], entry["seed"]) in kept]
            write_json(partial / name, entries)
        _copy_models(run / "checkpoints", partial / "checkpoints")
        if (run / "measure").is_dir():
            export_gallery(run / "measure", partial / "measure" / "gallery")
        write_json(partial / "provenance.json", _provenance(read_json(run / "report.json"), partial))
    return sum(file.stat().st_size for file in out.rglob("*") if file.is_file())


def _copy_episodes(source: Path, target: Path) -> set[tuple[str, int]]:
    """The first few of every task of every file; the (task, seed) of those that are kept."""
    kept = set()
    for path in sorted(source.rglob("*.hdf5")):
        store = EpisodeStore([path])
        tasks = sorted({summary.task for summary in store.summaries})
        few = [episode for task in tasks for episode in islice(store.select(task=task), FEW)]
        write_episodes(target / path.relative_to(source), few)
        kept |= {(episode.task, episode.seed) for episode in few}
    return kept


def _copy_models(source: Path, target: Path) -> None:
    """World models at half precision; they are loaded to full precision again."""
    for name in POLICIES:
        save_policy(load_policy(source / name), target / name)
    for name in (name for name in WORLDS if (source / name).is_dir()):
        load_world_model(source / name).half().save(target / name)
    for name in (name for name in REWARDS if (source / name).is_dir()):
        SuccessClassifier.load(source / name).save(target / name)


def export_gallery(measured: Path, out: Path) -> None:
    """One case of each kind that `wovr-lab measure` mined, the one furthest off of those that began at an initial
    state, since the inspector can go through these again."""
    found = [case for case in read_gallery(measured) if case.about["start"] == "initial"]
    found.sort(key=lambda case: -case.about["object_cm"])
    by_kind = (next((case for case in found if case.about["kind"] == kind), None) for kind in KINDS)
    write_gallery(out, [case for case in by_kind if case is not None])


def _provenance(report: dict, shipped: Path) -> dict:
    parts = {f"checkpoints/{name}": text for name, text in (POLICIES | WORLDS | REWARDS).items()} | MINED
    return {
        "command": f"wovr-lab run --scale {report['scale']} --seed {report['seed']}, then wovr-lab export",
        "commit_of_the_run": report["machine"]["commit"],
        "shipped_by_commit": current_commit(),
        "parts": {name: text for name, text in parts.items() if (shipped / name).is_dir()},
    }
