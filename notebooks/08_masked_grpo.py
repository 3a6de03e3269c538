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
# # Masked GRPO: what is learnt from an imagined success
#
# **Question.** When a rollout succeeds in imagination, which of its actions should the policy repeat?
#
# The paper (section 3, in our words): a trajectory is judged as a whole against the others of its group, but only
# what happened up to the first success was needed for it. Everything imagined after that is masked out of the
# objective, and it is also where imagination is deepest, so least to be believed.
#
# ```
#  real env ──► episodes ──► policy (SFT) ─┐
#     ▲            │                       ▼                                    (you are here)
#     │            ├──► world model ─► imagined env ──► rollouts ──► masked GRPO ──► better policy
#     │            └──► reward ──────────▲     ▲                                          │
#     │                                  starts: initial | keyframe                       │
#     └────────────── evaluate · PACE: collect again, refine the world model ◄────────────┘
# ```
#
# No model is needed here: the objective is arithmetic, and you can do it by hand.

# %%
import torch
from ipywidgets import IntSlider

from wovr_lab.figures import grpo_figures
from wovr_lab.grpo import formulas
from wovr_lab.notebook import record, slide

# %% tags=["parameters"]
scale = "smoke"  # the same at every scale
seed = 0
run = ""  # none is needed
masked = True  # False: every executed action is judged

# %% [markdown]
# ## One group of four
# Four rollouts from the same start, sixteen actions each (two chunks of eight). Two succeed, at action 5 and at
# action 11; two do not. The return is 1 or 0, the advantage is what lies above the group's mean.

# %%
first_success = torch.tensor([5, 11, -1, -1])
returns = formulas.success_returns(first_success)
advantages = formulas.group_advantages(returns[None], formulas.MeanBaseline())[0]
print("returns", returns.tolist(), "advantages", advantages.tolist())

# %% [markdown]
# ## The mask
# Blue actions count. Failures count as a whole: nobody knows which of their actions was the wrong one.

# %%
executed = torch.ones(4, 2, dtype=torch.bool)
mask = (formulas.SuccessMask() if masked else formulas.NoMask())(first_success, executed, 8)
print("actions that count:", formulas.valid_actions(mask).tolist())
grpo_figures.mask_picture(mask, first_success).show()

# %% [markdown]
# ## The weights
# Each trajectory weighs the same, whatever its length. So the six actions of the quick success weigh more, each,
# than the twelve of the slow one: quick is better, without a discount.

# %%
weights = formulas.trajectory_weights(mask)
print("of a trajectory:", weights.flatten(1).sum(1).tolist())
print("of an action:", [round(float(w.max()), 4) for w in weights])

# %% [markdown]
# Move the quick success later: the later it comes, the less each of its actions is praised. Where it comes after
# the slow one, the two have changed places.


# %%
def draw(quick: int):
    moments = torch.tensor([quick, 11, -1, -1])
    kind = formulas.SuccessMask() if masked else formulas.NoMask()
    found = formulas.trajectory_weights(kind(moments, executed, 8)).flatten(1)
    return grpo_figures.weight_by_action({"first success": found[0], "second success, at 11": found[1]}, quick)


slide(draw, IntSlider(5, 0, 15, description="action of the first trajectory's success"))

# %% [markdown]
# ## The objective, and where its gradient falls
# At the policy that sampled the rollouts, all ratios are 1, and the objective is the mean advantage: zero. Its
# gradient is not: it pushes up what the successes did and down what the failures did.

# %%
log_ratio = torch.zeros(8, 8, 7, requires_grad=True)  # 4 trajectories x 2 chunks, 8 actions of 7 numbers
arguments = advantages.repeat_interleave(2), weights.flatten(0, 1)
objective = formulas.clipped_objective(log_ratio, *arguments)
objective.backward()
gradient = log_ratio.grad.view(4, 16, 7).mean(-1)
print(f"objective {objective.item():.3f}")

# %% [markdown]
# The gradient of the quick success, with and without the mask. Without it, ten actions that came after the success
# are praised as loudly as the six that brought it.

# %%
other = torch.zeros_like(log_ratio, requires_grad=True)
unmasked = formulas.trajectory_weights(formulas.NoMask()(first_success, executed, 8))
formulas.clipped_objective(other, arguments[0], unmasked.flatten(0, 1)).backward()
quick = {"as chosen above": gradient[0], "without a mask": other.grad.view(4, 16, 7).mean(-1)[0]}
grpo_figures.gradient_by_action(quick, int(first_success[0])).show()
after = gradient[0, 6:].abs().sum() / gradient[0].abs().sum()

# %% [markdown]
# ## Clipping
# A token whose probability has risen beyond 1.28 times gets no more praise. A bad token whose probability has risen
# a lot would be punished without bound; the dual clip bounds that.

# %%
ratio, one = torch.full((1, 1, 7), 5.0).log(), torch.ones(1, 1)
praised = formulas.clipped_objective(ratio, torch.tensor([1.0]), one).item()
blame = {
    kind.__name__: formulas.clipped_objective(ratio, torch.tensor([-1.0]), one, dual_clip=kind()).item()
    for kind in (formulas.NoDualClip, formulas.DualClip)
}
print(f"at five times the probability: praise {praised:.2f}, blame {blame}")

# %% [markdown]
# ## Groups that teach
# A group in which all succeed, or none, has no advantages. How many have both outcomes depends on the policy's
# success from that start alone; where it is certain or hopeless, the frames are wasted. In imagination they cost no
# real episode, so the loop draws on until enough groups teach (`GRPOConfig.max_resamples`).

# %%
generator = torch.Generator().manual_seed(seed)
rates = (0.02, 0.1, 0.3, 0.5, 0.8, 0.95)
drawn = {p: formulas.mixed_groups(torch.rand(4000, 8, generator=generator) < p).float().mean().item() for p in rates}
grpo_figures.mixed_share_curve(8, drawn).show()

# %% [markdown]
# ## The claims of this page

# %% tags=["claims"]
record(gradient_after_success=after, quick_action_weight=weights[0].max(), praise=praised, mixed_at_30=drawn[0.3])
assert after == 0, f"{after:.0%} of the quick success's gradient falls on actions that came after it"
assert weights[0].max() == 2 * weights[1].max(), "the quick success's actions do not weigh twice as much"
assert abs(praised - 1.28) < 1e-6 and abs(blame["DualClip"] + 3) < 1e-6, "the clips do not bound as stated"
expected = {p: grpo_figures.mixed_share(p, 8) for p in rates}
assert all(abs(drawn[p] - expected[p]) < 0.025 for p in rates), "mixed groups are not as frequent as computed"

# %% [markdown]
# ## What we learnt
# - The mask gives all of a success's praise to the actions that led to it, and none to what was imagined after.
# - Each trajectory weighs the same, so shorter successes are preferred without a discount.
# - Starts from which success is certain, or hopeless, cost frames and teach nothing. For a base policy of 59 % a
#   quarter of the imagined groups taught something; the loop gained nothing on it until it drew more.
#
# ## Try to break it
# - Set `masked = False`: which claim falls, and which ones stand?
# - Let all four succeed at different actions. Who is praised now, and what would `MeanAndStd` change?
# - From which success rate on do groups of four teach as much as groups of eight?
