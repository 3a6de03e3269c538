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
from wovr_lab.pace.config import RunConfig, load_config
from wovr_lab.pace.layout import BASE, COMPARISON, CONFIG, EVALUATION, GATE_GROUPS, REPORT
from wovr_lab.pace.rounds import Simulator, rounds
from wovr_lab.policy.checkpoints import load_policy, save_policy
from wovr_lab.report_schema import load_report
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import read_json, write_json
from wovr_lab.world.protocol import load_world_model

MINED = {"measure/gallery": "hallucinations of these models, mined by wovr-lab measure"}
NUMBERS = (CONFIG, REPORT, EVALUATION, "metrics.jsonl")
SHIPPED = "shipped run"
MEASURED = "measure.json"
FEW = 2  # episodes a task of every file


def export_run(run: Path, out: Path) -> int:
    """Writes the shipped folder, in the place of an earlier one, and returns its size in bytes.

    Raises UserError if the run is not finished, if its gate kept it from improving a policy, or if `out` holds
    anything but a shipped run.
    """
    out, config = claim_folder(out, SHIPPED, inputs=[run]), load_config(run)
    numbers, keyframes = _numbers(config), [each.keyframes for each in rounds(config) if config.rl.keyframe_share]
    policies, simulators = _policies(config), _simulators(config)
    models = [*policies, *(name for each in simulators for name in each.names)]
    missing = [name for name in (*numbers, *keyframes, *models) if not (run / name).exists()]
    if missing:
        raise UserError(f"{run} is not a whole run ({missing[0]} is missing); finish it with wovr-lab resume {run}")
    with replacing(out, SHIPPED) as partial:
        partial.mkdir(parents=True)
        for name in numbers:
            shutil.copy(run / name, partial / name)
        shutil.copytree(run / COMPARISON, partial / COMPARISON)
        kept = _copy_episodes(run, partial, _checks(config))
        for name in keyframes:
            entries = [entry for entry in read_json(run / name) if (entry["task"], entry["seed"]) in kept]
            write_json(partial / name, entries)
        for name in policies:
            save_policy(load_policy(run / name), partial / name)
        for each in simulators:  # at half precision; they are loaded to full precision again
            load_world_model(run / each.world).half().save(partial / each.world)
            SuccessClassifier.load(run / each.reward).save(partial / each.reward)
        if (run / MEASURED).exists():
            shutil.copy(run / MEASURED, partial / MEASURED)
            export_gallery(run / "measure", partial / "measure" / "gallery")
        rewards = {each.reward: f"learnt beside `{Path(each.world).name}`" for each in simulators}
        parts = policies | {each.world: text for each, text in simulators.items()} | rewards | MINED
        write_json(partial / "provenance.json", _provenance(load_report(run), partial, parts))
    return sum(file.stat().st_size for file in out.rglob("*") if file.is_file())


def _numbers(config: RunConfig) -> list[str]:
    """Files of numbers that a whole run has."""
    of_rounds = (name for each in rounds(config) for name in (each.verdict, each.monitor, each.simulator.quality))
    return [*NUMBERS, *of_rounds]


def _policies(config: RunConfig) -> dict[str, str]:
    """The first and the last policy, and what each is."""
    last, again = rounds(config)[-1], ", PACE and GRPO again" * (len(rounds(config)) - 1)
    return {BASE: "imitates the demonstrations", last.improved: f"after GRPO in imagination{again}"}


def _simulators(config: RunConfig) -> dict[Simulator, str]:
    """The simulators that rounds begin with, and the one that the last round ends with; what the world model of each
    is."""
    first, *later = (each.simulator for each in rounds(config))
    worlds = {first: "fine-tuned on the base policy's rollouts"} | dict.fromkeys(later, "refined by PACE")
    worlds[rounds(config)[-1].refreshed] = "kept up with the policy of the last round"
    return worlds


def _checks(config: RunConfig) -> set[str]:
    """Episodes that only checked a policy or a simulator while it learnt: their numbers are shipped, they are not."""
    return {GATE_GROUPS, *(name for each in rounds(config) for name in (each.monitored, each.imagined))}


def _copy_episodes(run: Path, target: Path, left_out: set[str]) -> set[tuple[str, int]]:
    """The first few of every task of every file but those that are `left_out`, by their names or their folders'; the
    (task, seed) of those that are kept."""
    kept = set()
    for path in sorted((run / "episodes").rglob("*.hdf5")):
        name = path.relative_to(run)
        if not left_out.isdisjoint((name.as_posix(), name.parent.as_posix())):
            continue
        store = EpisodeStore([path])
        tasks = sorted({summary.task for summary in store.summaries})
        few = [episode for task in tasks for episode in islice(store.select(task=task), FEW)]
        write_episodes(target / name, few)
        kept |= {(episode.task, episode.seed) for episode in few}
    return kept


def export_gallery(measured: Path, out: Path) -> None:
    """One case of each kind that `wovr-lab measure` mined, the one furthest off of those that began at an initial
    state, since the inspector can go through these again."""
    found = [case for case in read_gallery(measured) if case.about["start"] == "initial"]
    found.sort(key=lambda case: -case.about["object_cm"])
    by_kind = (next((case for case in found if case.about["kind"] == kind), None) for kind in KINDS)
    write_gallery(out, [case for case in by_kind if case is not None])


def _provenance(report: dict, shipped: Path, parts: dict[str, str]) -> dict:
    return {
        "command": f"wovr-lab run --scale {report['scale']} --seed {report['seed']}, then wovr-lab export",
        "commit_of_the_run": report["machine"]["commit"],
        "shipped_by_commit": current_commit(),
        "parts": {name: text for name, text in parts.items() if (shipped / name).is_dir()},
    }
