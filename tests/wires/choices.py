"""What `test_wires` chooses and where it looks: names of settings and of functions, to be renamed here alone."""

from __future__ import annotations

from typing import Any

# Settings by their names in a configuration, and values that smoke does not have. Renamed settings are renamed here.
CHOICES: dict[str, Any] = {
    "seed": 3, "max_steps": 40, "demonstrations": 3, "demonstration_noise": 0.17, "examples": 4,
    "example_noise": 0.37, "example_ahead": 2, "rollouts": 4, "rollout_temperatures": [0.9, 1.3], "gate_episodes": 2,
    "gate_noises": [0.1, 0.6], "gate_groups": 3, "fresh": 3, "play": 3, "rollout_weight": 2.2, "fresh_weight": 4.4,
    "monitored_weight": 1.7, "confronted": 2, "hold": 3, "budget": 777, "policy.hidden_size": 24,
    "policy.num_hidden_layers": 2, "policy.num_attention_heads": 3, "imitation.batch": 11,
    "imitation.fit.learning_rate": 1.1e-3, "imitation.shift": 1, "imitation.rotation_weight": 0.21,
    "reward.batch": 25, "reward.newest": 0.4, "reward.fit.learning_rate": 1.2e-3, "reward_refresh.batch": 13,
    "reward_refresh.fit.learning_rate": 1.3e-3, "world_refresh.batch": 7, "world_refresh.fit.learning_rate": 1.4e-3,
    "world_size.num_layers": 2, "world_size.codec_width": 24, "codec.batch": 9, "codec.latent_noise": 0.07,
    "codec.fit.learning_rate": 1.5e-3, "world.batch": 6, "world.fit.learning_rate": 1.6e-3,
    "world.self_forcing": [0.4, 0.6], "world.ramp": 0.1, "world.self_forcing_steps": 3, "world.motion_weight": 3.3,
    "world.pure_noise": 0.35, "refine.batch": 5, "refine.fit.learning_rate": 1.7e-3, "context.anchor": False,
    "context.memory": 1, "context.noise": 0.13, "sampler_steps": 2, "imitate_successes.batch": 3,
    "imitate_imagined": False, "imitate_successes.fit.learning_rate": 1.8e-3, "imitate_last": False, "grpo.groups": 3,
    "grpo.group_size": 3, "grpo.max_resamples": 3, "grpo.temperature": 0.7,
    "grpo.noise": {"kind": "IndependentNoise"}, "grpo.learning_rate": 3.1e-4, "grpo.warmup_iterations": 2,
    "grpo.final_fraction": 0.3, "grpo.epochs": 3, "grpo.minibatch": 5, "grpo.clip_low": 0.11, "grpo.clip_high": 0.33,
    "grpo.max_gradient_norm": 0.77, "grpo.reward_coefficient": 1.9, "grpo.gamma": 0.97, "mask": {"kind": "NoMask"},
    "normaliser": {"kind": "MeanBaseline"}, "dual_clip": {"kind": "DualClip", "limit": 5.0}, "kl_coef": 0.3,
    "iterations": [1, 2], "monitor_every": [1, 2], "monitor_starts": 3, "monitor_acts": True, "keyframe_share": 0.9,
    "keyframe_steps": 16, "gate.precision": 0.71, "gate.precision_low": 0.41, "gate.correlation": 0.22,
    "gate.reward_correlation": 0.33, "evaluation_starts": 3, "evaluation_first_seed": 10_500, "check_every": 1,
    "check_starts": 3, "confusion_rollouts": 3, "imagined_rows": 5,
}  # fmt: skip

# Where choices act. Moved functions are renamed here.
SPIES = {
    "attempts": "wovr_lab.real.tabletop.domain:TabletopDomain.attempts",
    "truncated_before_success": "wovr_lab.real.tabletop.domain:TabletopDomain.truncated_before_success",
    "play": "wovr_lab.real.tabletop.domain:TabletopDomain.play",
    "real": "wovr_lab.real.tabletop.domain:TabletopDomain.chunks",
    "imagined": "wovr_lab.imagined.environment:ImaginedEnv.__init__",
    "act": "wovr_lab.policy.vla:VLAPolicy.act",
    "log_prob": "wovr_lab.policy.vla:VLAPolicy.log_prob",
    "shared noise": "wovr_lab.policy.exploration:ChunkSharedNoise.uniforms",
    "success mask": "wovr_lab.grpo.formulas:SuccessMask.__call__",
    "no mask": "wovr_lab.grpo.formulas:NoMask.__call__",
    "mean and std": "wovr_lab.grpo.formulas:MeanAndStd.__call__",
    "mean": "wovr_lab.grpo.formulas:MeanBaseline.__call__",
    "dual clip": "wovr_lab.grpo.formulas:DualClip.__call__",
    "penalty": "wovr_lab.grpo.loss:KLPenalty.__call__",
    "objective": "wovr_lab.grpo.loss:clipped_objective",
    "returns": "wovr_lab.grpo.trainer:success_returns",
    "select": "wovr_lab.grpo.batch:PolicyBatch.select",
    "clip norm": "torch.nn.utils:clip_grad_norm_",
    "rate": "wovr_lab.grpo.trainer:GRPOConfig.rate",
    "train": "wovr_lab.grpo.trainer:GRPOTrainer.train",
    "group": "wovr_lab.grpo.trainer:roll_out",
    "draw": "wovr_lab.starts:MixedStarts.draw",
    "fit rate": "wovr_lab.training:FitConfig.rate",
    "flow": "wovr_lab.world.training:FlowMatchingLoss.forward",
    "flow noise": "wovr_lab.world.training:flow_noise",
    "depth": "wovr_lab.world.training:WorldTrainingConfig.depth",
    "codec": "wovr_lab.world.codec:CodecLoss.forward",
    "sampler": "wovr_lab.world.sampler:FlowSampler.sample",
    "latents": "wovr_lab.world.context:ContextBuilder.latents",
    "disturb": "wovr_lab.world.context:ContextBuilder.disturb",
    "table": "wovr_lab.world.windows:FrameTable.of",
    "refresh": "wovr_lab.world.refresh:WorldRefresh.__init__",
    "reward draw": "wovr_lab.reward.frames:LabelledFrames.draw",
    "imitation": "wovr_lab.policy.imitation:Imitation.forward",
    "augment": "wovr_lab.policy.imitation:augment",
    "gate": "wovr_lab.pace.improving:evaluate_gate",
    "imitated again": "wovr_lab.pace.imitating:replay_in_imagination",
    "executed": "wovr_lab.pace.monitor:replay_in_simulator",
    "ledger": "wovr_lab.pace.stages:Ledger.__init__",
    "evaluated": "wovr_lab.pace.judging:evaluate",
}

# Settings that no wire of this test follows, and why.
ELSEWHERE = {
    "scale": "names the preset",
    "tasks": "every episode of the loop's tests is of them",
    "resolution": "frames would not fit",
    "backbone": "weights of its own, which the loop's tests follow",
}
