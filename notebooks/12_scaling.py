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
# # Scaling: from this laptop to one GPU and many
#
# **Question.** The same code shall run the paper's five-billion-parameter world model. What changes, what does it take,
# and can we know before renting anything?
#
# The paper (section 2, in our words): the world model is Wan2.2-TI2V-5B with actions in both channels, and it imagines
# 23 frames a second on an H100. Ours is the same class with smaller settings: 4 million parameters.
#
# ```
#  real env ──► episodes ──► policy (SFT) ─┐
#     ▲            │                       ▼
#     │            ├──► world model ─► imagined env ──► rollouts ──► masked GRPO ──► better policy
#     │            └──► reward ──────────▲     ▲                                          │
#     │                                  starts: initial | keyframe                       │
#     └────────────── evaluate · PACE: collect again, refine the world model ◄────────────┘
#                                         (you are here: all of it, larger)
# ```
#
# | | this laptop | one GPU | many GPUs |
# |---|---|---|---|
# | code | the same | the same | the same |
# | settings | `--scale demo`, `full` | the transformer's and the codec's sizes | and `accelerate launch` |
#
# Memory and arithmetic are *computed* below by running the model's own forward pass on shapes without numbers.

# %%
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

from wovr_lab.experiments.estimate import estimate
from wovr_lab.figures import scaling_figures
from wovr_lab.notebook import record
from wovr_lab.pace import preset
from wovr_lab.report.sentences import load_report

# %%
from wovr_lab.runs import read_json
from wovr_lab.world.cost import cost_of, count
from wovr_lab.world.protocol import load_world_model
from wovr_lab.world.wan import TI2V_5B

# %% tags=["parameters"]
scale = "smoke"  # the same at every scale
seed = 0
run = "../data/demo"  # whose recorded times are shown; the shipped one needs no training
trains = True  # False: only imagining is counted, and nothing is trained

# %% [markdown]
# ## Computed is counted
# First on the world model in latents that is shipped, the paper's kind: what is computed from its settings is what is
# counted on the model itself, and half as many as its file has bytes. (A run on the tabletop imagines in pixels, with
# the same class of transformer between two small convolutional networks.)

# %%
folder = Path("../data/backbone")
transformer = load_world_model(folder).transformer
settings = {name: value for name, value in transformer.config.items() if not name.startswith("_")}
ours, counted = cost_of(settings, side=8), count(transformer, side=8)
size = (folder / "transformer/diffusion_pytorch_model.safetensors").stat().st_size
print(f"{ours.parameters:,} parameters; its file holds {size / 2:,.0f} numbers of two bytes, names included")
print(f"{ours.tokens} tokens a window, {ours.flops / 1e9:.2f} GFLOP a forward pass, {ours.saved:,} numbers saved")

# %% [markdown]
# ## The paper's, on this laptop's shapes
# 256 x 256 pixels, 16 x 16 latents: four times the tokens, 1,250 times the parameters. No weight is downloaded.

# %%
paper = cost_of(TI2V_5B, side=16)
print(f"{paper.parameters / 1e9:.2f} billion parameters, {paper.flops / ours.flops:,.0f} times our arithmetic a chunk")
print(f"to imagine: {paper.gigabytes(False, 0):.0f} GB of weights")
needed = paper.gigabytes(trains, windows=1)
print(f"with one window of 13 frames: {needed:.0f} GB, of which what backward needs is {2 * paper.saved / 1e9:.1f} GB")

# %% [markdown]
# ## How many GPUs
# Weights, gradients and optimiser are shared between them (FSDP), what backward needs is not. Dashed: an 80 GB GPU.

# %%
devices = (1, 2, 4, 8, 16, 32, 64)
memory = {f"windows on each GPU: {n}": [paper.gigabytes(trains, n, d) for d in devices] for n in (1, 8, 32)}
scaling_figures.memory_figure(devices, memory, limit=80).show()
fits = next(d for d, gigabytes in zip(devices, memory["windows on each GPU: 8"], strict=True) if gigabytes < 80)
print(f"with 8 windows on each it trains on {fits} GPUs of 80 GB, without recomputing anything")

# %% [markdown]
# ## How fast
# Arithmetic over time, here and there. The peak of this machine is what a plain matrix product reaches.

# %%
square = torch.randn(2, 1024, 1024)
peak = 2 * 1024**3 / Timer("a @ b", globals={"a": square[0], "b": square[1]}).blocked_autorange(min_run_time=0.5).median
latents, times, actions = torch.zeros(16, 32, 4, 8, 8), torch.zeros(16, ours.tokens), torch.zeros(16, 13, 7)
with torch.inference_mode():
    forward = Timer("f(x, t, a)", globals={"f": transformer, "x": latents, "t": times, "a": actions})
    seconds = forward.blocked_autorange(min_run_time=1).median
reached = 16 * ours.flops / seconds
print(f"{reached / 1e9:.0f} of {peak / 1e9:.0f} GFLOP/s, {seconds / 16 / 8 * 1000:.1f} ms a frame and sampler step")

# %% [markdown]
# And the paper's 23 frames a second, if each takes five sampler steps, on an H100 with its published peak:

# %%
share = 23 * paper.imagining(steps=5) / 989e12
print(f"{share:.1%} of 989 TFLOP/s: a single rollout leaves it idle, groups of rollouts would fill it")

# %% [markdown]
# ## What grows with what
# The table that `benchmarks/imagination_speed.py --write` made, each axis by itself:
# - **batch**: slower than the batch while the cores are not busy, then with it, in time and memory;
# - **depth**: chunk after chunk from a context of one size, so time grows with it and memory does not;
# - **resolution**: twice the side is four times the pixels and tokens, and attention grows with the square of these;
# - **steps**: each is one forward pass, while the context is encoded and the frames are decoded once.

# %%
scaling_figures.growth_figure(read_json(Path("../data/results/speed.json"))["rows"]).show()

# %% [markdown]
# ## A whole run on this machine, before it starts
# `wovr-lab run` prints this estimate: a training step and an imagined chunk are timed and multiplied out. Beside it
# what the run that is shipped took, on another two cores.

# %%
estimated, gigabytes = estimate(preset("demo", seed))
recorded = {stage["name"]: stage["seconds"] for stage in load_report(Path(run))["stages"]}
scaling_figures.stages_figure(estimated, recorded).show()
print(f"{sum(estimated.values()) / 60:.0f} minutes and {gigabytes:.1f} GB estimated")

# %% [markdown]
# ## The claims of this page

# %% tags=["claims"]
record(
    parameters=ours.parameters, flops=ours.flops, paper_parameters=paper.parameters, paper_gigabytes=needed, gpus=fits
)
assert ours == counted, f"computed {ours}, counted {counted}"
assert abs(size / 2 - ours.parameters) < 0.02 * ours.parameters, "the file holds another number of parameters"
assert 4.9e9 < paper.parameters < 5.1e9, "these are not the settings of the paper's model"
assert needed > 80, f"one 80 GB GPU is enough ({needed:.0f} GB): nothing is trained"
assert paper.gigabytes(True, 8, 8) < 80, "eight GPUs do not hold what one could not"

# %% [markdown]
# ## What we learnt
# - One GPU of 80 GB imagines with the paper's model easily, and cannot train it. Eight can, without a trick.
# - What is computed from settings equals what is counted on the model, so it can be trusted where no model fits.
# - On many GPUs nothing of our code changes: `accelerate launch` spreads `fit`, and two local processes give the same
#   numbers as one (`tests/test_training.py`). None of this was run on a GPU here.
#
# ## Try to break it
# - Set `trains = False`: which claim falls?
# - At 512 x 512 pixels (`side=32`): what grows faster, parameters, arithmetic or what backward needs?
# - How large a model would fill your own GPU? Change `num_layers` of `TI2V_5B` until it does.
