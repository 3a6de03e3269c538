# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Hallucination: where imagination parts from reality
#
# **Question.** The frames look fine. How often is what happens in them true, and for how many imagined frames can it be
# trusted?
#
# The paper (section 1, in our words): hallucination is a mismatch of *outcomes*. The picture stays plausible while the
# transition is physically wrong or the success is made up. It grows with horizon, the number of imagined frames
# since the last real one, because the model eats its own frames.
#
# ```
#  real env ──► episodes ──► policy (SFT) ─┐
#     ▲            │                       ▼
#     │            ├──► world model ─► imagined env ──► rollouts ──► masked GRPO ──► better policy
#     │            └──► reward ──────────▲  (you are here)                                │
#     │                                  starts: initial | keyframe                       │
#     └────────────── evaluate · PACE: collect again, refine the world model ◄────────────┘
# ```

# %%
from dataclasses import replace
from pathlib import Path

from ipywidgets import FloatSlider

from wovr_lab.figures import gate_figures, hallucination_figures
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.pairing import pair, unseen_starts
from wovr_lab.measure.gate import evaluate_gate
from wovr_lab.measure.intervals import paired_difference, rate_of

# %%
from wovr_lab.measure.paired import outcomes_at
from wovr_lab.measure.tabletop.gallery import hardest_cases
from wovr_lab.measure.tabletop.horizon import calibrated_horizon, horizon_curves
from wovr_lab.notebook import gallery, record, slide
from wovr_lab.report.learning_curve import learning_curve_figure
from wovr_lab.report.sentences import load_report
from wovr_lab.runs import read_json

# %% tags=["parameters"]
scale = "smoke"  # rollouts: smoke 96, demo 200, glance 12
seed = 0
run = "../data/demo"  # a run folder; the shipped one needs no training
perfect = False  # True: imagination is replaced by reality, so that nothing is left to find

# %% [markdown]
# ## The same actions in both worlds
# The improved policy acts in the world model that its training began in, from starts that nothing was trained on. Then
# the simulator repeats its actions, and a probe that was trained on real frames reads off the imagined ones where the
# cube is.

# %%
models = RunModels(Path(run))
starts = unseen_starts(models, {"smoke": 96, "demo": 200, "glance": 12}[scale])
paired, imagined, real = pair(models, "improved policy", "base", starts, seed)
pairs = replace(paired, imagined_success=paired.real_success, found=paired.seen) if perfect else paired
outcomes = pairs.outcomes
print(gate_figures.confusion_sentence("improved", outcomes.counts()))

# %% [markdown]
# ## How often it is true
# Move the threshold of the reward. A stricter one believes less of what is imagined, true or not.


# %%
def draw(threshold: float):
    found = outcomes if perfect else outcomes_at(pairs, threshold, models.reward("base").config.consecutive)
    return gate_figures.confusion_figure({"improved": found.counts()})


usual = round(models.switches("base").threshold, 2)
slide(draw, FloatSlider(usual, min=0.05, max=0.95, step=0.05, description="reward threshold"))

# %% [markdown]
# ## How long it can be trusted
# Blue is the probe's own error on real frames: below it nothing can be seen.

# %%
curves = horizon_curves(pairs)
hallucination_figures.horizon_figure(
    [{"policy": "improved", "world": "base", "start": "initial", "curves": curves}], "improved", "base"
).show()
horizon = calibrated_horizon(pairs, seed)
print(f"nine in ten outcomes agree and the cube is within 2 cm up to horizon {horizon['frames']['rate']:.0f}", end=" ")
print(f"of {horizon['longest_seen']} (95 % interval {horizon['frames']['low']:.0f}-{horizon['frames']['high']:.0f})")

# %% [markdown]
# ## What it looks like
# The worst cases of each kind. Scrub through one, and hover over its curve to see that frame.

# %%
cases = hardest_cases(paired, imagined, real, {"policy": "improved", "world": "base", "start": "initial"})
gallery(cases)

# %% [markdown]
# The first of them: where the task's cube is, in truth and as the probe reads it off the imagined frames.

# %%
hallucination_figures.track_figure(cases[0]).show()

# %% [markdown]
# ## The gate, and what it cannot see
# The gate pools policies of different strength, before any RL. The expert's easy successes carry it; a policy that was
# trained in there, and has learnt what the simulator believes, is believed wrongly more often.

# %%
gate = load_report(Path(run))["gate"]["gate_1"]
alone = evaluate_gate({"improved policy, acting in imagination": outcomes})
gate_figures.gate_figure("gate_1", gate).show()
print(*(f"{number}: {policy['name']}" for number, policy in enumerate(gate["policies"], 1)), sep="; ")
own = outcomes.precision
print(f"the improved policy alone: {own.rate:.0%} [{own.low:.0%}, {own.high:.0%}],", *alone.reasons or ["passed"])

# %% [markdown]
# ## How long it can be learnt in
# What all of this costs is seen only in learning. The same base policy learns by the same updates, with simulator and
# reward each learnt or replaced by the truth, and is judged for real at every mark (`wovr-lab study learning-curve`).
# Where a curve turns away from the ceiling, RL has begun to exploit what is learnt; dotted, what training believed.

# %%
curves_of_learning = read_json(Path("../data/results/learning_curve.json"))
learning_curve_figure(curves_of_learning).show()

# %% [markdown]
# ## The claims of this page

# %% tags=["claims"]
optimism = paired_difference(outcomes.real, outcomes.imagined)
wrong = rate_of(outcomes.real != outcomes.imagined)
cube, probe = (curves[name][-1]["rate"] for name in ("object_cm", "probe_object_cm"))
early = curves["object_cm"][1]["rate"]  # after the first chunk
record(over_optimism=optimism.rate, wrong=wrong.rate, precision=own.rate, cube_cm=cube, probe_cm=probe)
assert wrong.low > 0.05, "imagination is right about nearly every rollout: there is nothing to hallucinate"
assert wrong.rate > abs(optimism.rate) + 0.05, "what is believed too often and too seldom does not cancel out"
assert cube > 2 * early and cube > 2 * probe, "the cube does not get lost with depth"
assert own.rate < gate["precision"]["rate"], "the gate's pooled verdict is that of the policy that matters"

# %% [markdown]
# ## What we learnt
# - As many rollouts succeed in imagination as for real, and yet about one in five is imagined wrongly: what never
#   happens and what is missed cancel out. A rate that agrees says little about any single rollout, which is what GRPO
#   learns from.
# - The cube is lost within a few chunks, long before the picture is: PSNR alone would not have told.
# - A gate that pools policies can pass at .95 while the policy that matters is believed wrongly more often. So look at
#   each.
# - Imagination that is kept up with the policy (reward and world model learn from what the monitor executes, every four
#   updates) can be learnt in for sixteen updates as well as reality; left as it was, for eight.
#
# ## Try to break it
# - Set `perfect = True`: what falls, and what does that say about the measurement itself?
# - Ask the evolved world model (`"evolved"` instead of `"base"` in `pair`): which kind of case is rarer?
# - Is the base policy (`"base policy"`), which has learnt nothing in imagination, believed as often when it fails?
