"""One thing has one word, the field's: words that were replaced come back nowhere, and every docstring stands alone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("wovr_lab", "tests", "notebooks", "benchmarks", "docs", "apps")
REPLACED = {  # identifiers, by the word that is used instead
    "FlowMatchingLoss, ImitationLoss, SuccessLoss, ProbeLoss, CodecLoss, GRPOLoss": (
        "FlowMatching", "SuccessLearning", "ProbeLearning", "CodecReconstruction", "MaskedGRPO"),
    "KLPenalty, kl_coef, PolicyBatch, to_batch": ("anchor_coefficient", "judged_decisions", "Decisions"),
    "evaluate_classifier, evaluate_probabilities, evaluate_gate, VideoMetrics": (
        "judge_answers", "judge_each", "EpisodeJudgement", "SuccessJudge", "judge_gate", "VideoJudge"),
    "clip_fraction, approx_kl, success_returns, max_resamples": (
        "clipped_share", "estimated_kl", "latched_returns", "most_draws"),
    "add_context_noise, NoisyMemory": ("disturb", "DisturbedMemory"),
    "replay_in_imagination, replay_in_simulator": ("imagine_again", "execute_for_real"),
    "Domain, make_env, truncated_before_success, make_tabletop_env, domain_of": (
        "RealWorld", "broken_off", "tabletop_chunks", "real_world"),
    "NOOP, noop_action, DISPLAY_RESOLUTION, Subgoal, aim_offset": (
        "HOLD", "hold_action", "PEOPLE_RESOLUTION", "Errand", "errand"),
    "FRAMES_PER_LATENT, gpu_memory_of": ("GROUP", "memory_of"),
    "UncertaintyEnv, uncertainties, error_auroc, InputWarning": ("DoubtingEnv", "doubts", "foretold_errors", "Doubt"),
    "update_efficiency, fgsm, violations, error_by_horizon, horizon_curves": (
        "update_worth", "worth_table", "measure_worth", "towards_success", "FAULTS", "imagined_faults", "real_faults",
        "drift_curves", "depth_curves", "error_by_depth", "deep_episodes"),
    "FeatureNetworks, with_action_channels, hybrid_comparison": ("Yardsticks", "yardsticks", "left_with"),
    "evaluate_resumable, ResumableEvaluationConfig": ("examine", "Examination", "EvaluationPlan"),
    "hallucination_sections, keyframe_timing_figure, monitor_figure": (
        "measured_sections", "measured_sentence", "moments_figure", "looks_figure"),
    "PairedSimulator, StartOption, start_options": ("Worlds", "Beginning"),
    "RunModels, MonitorCheck, export_run, run_sft_control": (
        "ship_gallery", "run_longer", "looks_at_given"),
    "...Config": (
        "WorldTraining", "PixelTraining", "CodecTraining", "StateTraining", "RewardTraining", "ProbeTraining",
        "PixelPretraining", "PolicySize", "WorldSize", "PixelSize", "Ablation", "Choice"),
}  # fmt: skip
PHRASES = (  # what people read, by fragments of how it was said
    "as models see it", "Real, for us", "Difference times", "A key is", "Stand after step", "its highest in this step",
    "between the fingers (cm", "Take away", "Take over", "Four futures", "deep into a dream", "judged truly",
    "too kindly", "by checks that chose nothing", "paid starts", "mended:", "foretell", "Most steps an episode",
    "Greedily it is not", "as they learn", "cries wolf", "apart; answers to other noise",
)  # fmt: skip
LEANING = re.compile(r'"""\s*(?:The same|As|Of)\b.*')  # on what stands before


def texts() -> dict[Path, str]:
    """Code and documents, without this list and without the log, which keeps the words of its day."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".js")]
    files = [path for path in files if path != Path(__file__) and ".ipynb_checkpoints" not in path.parts]
    return {path: path.read_text() for path in (*files, ROOT / "README.md", ROOT / "Makefile")}


def test_words_that_were_replaced_come_back_nowhere():
    instead = {old: new for new, every in REPLACED.items() for old in every}
    pattern = re.compile(rf"\b({'|'.join(instead)})\b")
    found = [
        f"{path.relative_to(ROOT)}: {word} (say {instead[word]})"
        for path, text in texts().items()
        for word in sorted(set(pattern.findall(text)))
    ]
    assert not found, "\n".join(found)


def test_what_people_read_is_said_as_the_field_says_it():
    found = [
        f"{path.relative_to(ROOT)}: {phrase}" for path, text in texts().items() for phrase in PHRASES if phrase in text
    ]
    assert not found, "\n".join(found)


def test_every_docstring_stands_alone():
    found = [f"{path.relative_to(ROOT)}: {line}" for path, text in texts().items() for line in LEANING.findall(text)]
    assert not found, "\n".join(found)
