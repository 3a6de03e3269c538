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
# # LIBERO: the benchmark itself
#
# **Question.** Everything so far happened on our tabletop. Does the paper's own benchmark fit behind the same contract,
# exactly enough to judge imagination by?
#
# The paper (section 5, in our words): four suites of ten tasks each, fifty official initial states a task; the
# policy is judged on states that no training has seen.
#
# ```
#  real env ──► episodes ──► policy (SFT) ─┐
#  (you are here: another real env)        ▼
#     │            ├──► world model ─► imagined env ──► rollouts ──► masked GRPO ──► better policy
#     │            └──► reward ──────────▲     ▲                                          │
#     │                                  starts: initial | keyframe                       │
#     └────────────── evaluate · PACE: collect again, refine the world model ◄────────────┘
# ```
#
# This needs the `libero` extra. Where it is missing, the second cell says so, and `make notebooks` skips this page.

# %%
from pathlib import Path
from tempfile import mkdtemp
from textwrap import fill

import numpy as np
from PIL import Image

from wovr_lab.episodes import EpisodeStore
from wovr_lab.figures.pictures import strip
from wovr_lab.notebook import Film, record, require

# %%
require("libero", "get it by `make libero`, and the GL libraries by `make system-deps`")

from wovr_lab.real.libero.env import LiberoEnv
from wovr_lab.real.libero.expert import expert_episode
from wovr_lab.real.libero.official import write_demonstrations
from wovr_lab.real.libero.tasks import EVALUATION_STATES, STANDARD, TRAINING_STATES, find_task, suites, tasks_of

# %% tags=["parameters"]
scale = "smoke"  # smoke: one demonstration; demo: five
seed = 0
run = ""  # none is needed
task = "libero_object/pick_up_the_milk_and_place_it_in_the_basket"
noise = 0.0  # standard deviation on the expert's executed x, y, z

# %% [markdown]
# ## Suites and tasks
# The five standard suites, then the perturbed variants that the package ships.

# %%
for suite in STANDARD:
    print(f"{suite}: {len(tasks_of(suite))} tasks, at most {tasks_of(suite)[0].max_steps} actions")
print(fill("further: " + ", ".join(suites()[len(STANDARD) :]), 95, break_on_hyphens=False))
states = find_task(task).initial_states()
print(
    f"{len(states)} official states of this task: {len(TRAINING_STATES)} to train from, {len(EVALUATION_STATES)} kept"
)

# %% [markdown]
# ## One task from four of its initial states
# Upright, as everywhere here; LIBERO's files hold them upside down.

# %%
env = LiberoEnv(task, resolution=128)
frames = np.stack([env.reset(seed=number)[0]["frame"] for number in range(seed, seed + 4)])
print(env.instruction)
Image.fromarray(strip([frames], scale=1))

# %% [markdown]
# ## An expert
# Official demonstrations cannot be downloaded here, so a script with privileged knowledge makes them.

# %%
count = 1 if scale == "smoke" else 5
episodes = [expert_episode(env, task, each, noise) for each in range(seed, seed + count)]
for episode in episodes:
    print(f"seed {episode.seed}: {len(episode)} actions, first success at {episode.first_success}")
succeeded = np.mean([episode.first_success >= 0 for episode in episodes])
assert succeeded == 1, f"the expert succeeds on {succeeded:.0%} only: nothing to learn from"
Film(episodes[0].frames, "action", scale=2)

# %% [markdown]
# ## Real means exact, here too
# From the first simulator state, with the same actions.

# %%
episode = episodes[0]
env.reset(options={"task": task, "state": episode.states[0]})
again = np.stack([env.step(action)[0]["frame"] for action in episode.actions])
apart = np.abs(again.astype(int) - episode.frames[1:]).max()
print("largest difference of a pixel:", apart, "of 255; success again:", env.success)

# %% [markdown]
# ## On disk, as the benchmark has it

# %%
path = write_demonstrations(Path(mkdtemp(prefix="wovr-libero-")), env, task, [seed], noise)
back = EpisodeStore([path])[0]
print(path.name, f"{path.stat().st_size / 1e6:.1f} MB,", back.instruction)

# %% [markdown]
# ## The claims of this page

# %% tags=["claims"]
record(expert_success=succeeded, actions=len(episode), states=len(states))
assert apart == 0 and env.success, "a replay is not exact"
assert (back.frames == episode.frames).all() and np.allclose(back.actions, episode.actions), "the file changed it"
assert not set(TRAINING_STATES) & set(EVALUATION_STATES), "training sees what it is judged on"
assert len(states) == 50 and episode.first_success < find_task(task).max_steps

# %% [markdown]
# ## What we learnt
# - The benchmark fits behind the contract that the tabletop has; what follows in the loop cannot tell them apart.
# - It is exact: what was done can be done again, so imagination can be judged by it.
# - Whole suites are `wovr-lab evaluate --env libero:object --policy FOLDER --run runs/object`.
#
# ## Try to break it
# - Raise `noise`: from where on does the expert drop the milk?
# - Take a perturbed suite of the list above: what has been moved, and does the expert still find it?
# - Run the loop here: `wovr-lab run --env libero:object/... --scale smoke`. Which stage takes longest?
