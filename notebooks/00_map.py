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
# # The map: the whole method on one page
#
# **Question.** Can a robot policy improve by practising inside a *learned* world, and how would we know that it
# really did?
#
# The paper's opening observation (arXiv 2602.13977, section 1, in our words): a learned simulator hallucinates.
# Its frames look plausible while the outcome is wrong, and a policy trained against it finds exactly those
# places. So the simulator must be made reliable, and trusted only as far as it has been tested.
#
# ```
#  real env ──► episodes ──► policy (SFT) ─┐
#     ▲            │                       ▼
#     │            ├──► world model ─► imagined env ──► rollouts ──► masked GRPO ──► better policy
#     │            └──► reward ──────────▲     ▲                                          │
#     │                                  starts: initial | keyframe                       │
#     └────────────── evaluate · PACE: collect again, refine the world model ◄────────────┘
#                                                                 (you are here: all of it)
# ```
#
# At scale `smoke` every stage runs in seconds and **nothing is learnt**: what is shown here is how the parts fit,
# and that an untrained simulator is caught. Run `make demo` first and give `scale="demo"` for real numbers.

# %%
from pathlib import Path
from tempfile import mkdtemp

from PIL import Image

from wovr_lab.figures import gate_figures, pictures, run_figures
from wovr_lab.inspector.keys import direction_chunk
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.session import Session
from wovr_lab.pace import run_loop, scale_config
from wovr_lab.real.tabletop import expert_episodes, initial_start
from wovr_lab.runs import load_metrics

# %% tags=["parameters"]
scale = "smoke"  # smoke or demo
seed = 0
run = ""  # a run folder; "" takes a temporary one, at scale demo that of `make demo`, or begins it

# %% [markdown]
# ## The real world
# A robot hand over a table, seen through 32 x 32 pixels, since that is what the models see. The instruction
# decides which cube matters. Real here means MuJoCo: truth is cheap, so hallucination can be measured instead of
# guessed.

# %%
config = scale_config(scale, seed=seed)
starts = [initial_start(task, seed) for task in config.tasks]
print(*(f"{start.task}: {start.instruction}" for start in starts), sep="\n")
Image.fromarray(pictures.strip([start.anchor[None] for start in starts], scale=4))

# %% [markdown]
# ## A demonstration
# A scripted expert solves the task with noise in what it *does* and none in what it *teaches*. A handful of these
# is all the policy gets to imitate (SFT), so the base policy is mediocre, on purpose: the method starts from
# there.

# %%
episode = next(expert_episodes(config.tasks[0], [seed], config.demonstration_noise))
print(f"{episode.instruction}: {len(episode)} actions, success at action {episode.first_success}")
Image.fromarray(pictures.strip([episode.frames[::4]], scale=3))

# %% [markdown]
# ## The loop
# Demonstrate → imitate → collect → train the reward and the world model → gate → practise in imagination →
# collect again → refine → gate → practise again → evaluate in the real world. Each stage leaves its files in the
# run folder; a second run finds them and goes on from there.

# %%
folder = Path(run or ("../runs/demo" if scale == "demo" else mkdtemp(prefix="wovr-map-")))
report = run_loop(config, folder, force=True)  # a tour shows every stage; what the gate says of it stands below
run_figures.stage_times(report["stages"]).show()

# %% [markdown]
# ## What came of it, in the real world
# The same initial states for both policies, none of which any training has seen. The bars are what counts;
# everything after them says whether to believe in the road that led there.

# %%
run_figures.success_bars(report["success"], f"sampled at T = {report['protocol']['sampled_temperature']}").show()
run_figures.learning_curve(load_metrics(folder)).show()

# %% [markdown]
# ## One imagined chunk beside the same chunk in the real world
# The same start, the same eight actions: imagined, real, absolute difference. You can steer this yourself: `make
# inspect`.

# %%
session = Session(RunModels(folder))
session.start(config.tasks[0], seed=10_000)
step = session.step(direction_chunk("d", session.state.gripper))
print(f"{step.psnr:.1f} dB after {session.state.horizon} imagined frames; about success the two worlds: {step.verdict}")
Image.fromarray(pictures.strip([step.imagined, step.real, step.difference], scale=3))

# %% [markdown]
# ## How the picture degrades
# **Horizon** is how many imagined frames lie between a frame and the last real one. A world model has to beat
# the cheapest one there is, which says that nothing ever moves.

# %%
gate_figures.psnr_by_horizon_figure(report["world"]["psnr_by_depth"], report["world"]["psnr_by_depth_copy"]).show()

# %% [markdown]
# ## The gate: may we practise in there at all?
# Real rollouts of policies of different strength are imagined again from their own actions. If imagined successes
# are not mostly real, or a better policy looks worse in imagination, practising there teaches hallucinations.
# `wovr-lab run` stops here then, unless it is forced to go on, as this tour is.

# %%
gate = report["gate"]["gate_1"]
print("passed" if gate["passed"] else "not passed:", *gate["reasons"], sep="\n- ")
print(*(f"{number}: {policy['name']}" for number, policy in enumerate(gate["policies"], 1)), sep="\n")
gate_figures.gate_figure("gate_1", gate).show()

# %% [markdown]
# ## The claims of this page

# %%
budget = report["budget"]
assert 0 < budget["real_episodes"] <= budget["real_episodes_allowed"], "the ledger was overspent"
assert all(rate["low"] <= rate["rate"] <= rate["high"] for rate in report["success"].values() if rate["n"])
assert gate["passed"] or gate["reasons"], "a refusal must give its reasons"
assert scale != "smoke" or not gate["passed"], "the gate trusted a simulator that has learnt nothing"
session.undo()
again = session.step(direction_chunk("d", session.state.gripper))
assert (again.imagined == step.imagined).all() and (again.real == step.real).all(), "a replay is not exact"

# %% [markdown]
# ## What we learnt
# - The loop is a straight list of stages over files; each can be run, looked at and replaced alone.
# - A simulator is trusted after it has been tested on real outcomes. One that has learnt nothing is refused, with
#   reasons.
# - Both worlds are exact functions of start, noise and actions: what you have seen, you can see again.
#
# ## Try to break it
# - Give another `seed`: does the gate ever pass at `smoke` scale? What would that mean, with so few rollouts?
# - Run the loop cell again: which stages run twice? Delete `checkpoints/world` in the run folder and run it once
#   more.
# - Open the finished `make demo` run here. Find the horizon from which copying the first frame is as good as
#   imagining.
