"""What a world model costs is known before it is built."""

from __future__ import annotations

from wovr_lab.world.cost import Cost, cost_of, count
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer

SMALL = {
    "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "freq_dim": 16,
    "ffn_dim": 32, "num_layers": 1,
}  # fmt: skip


def test_what_is_computed_from_settings_is_what_is_counted_on_the_model():
    model = ActionWanTransformer(**SMALL)
    computed = cost_of(SMALL, side=4)
    assert computed == count(model, side=4)
    assert computed.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert computed.tokens == 4 * 2 * 2  # four latents of 2 x 2 patches
    assert cost_of(SMALL | {"patch_size": WHOLE_WINDOW}, side=4).tokens == 4 * 4  # of a single cell each


def test_linear_layers_cost_twice_their_weights_a_token():
    """A further layer adds a feed-forward network, whose share is known by hand; four times the tokens cost more than
    four times as much, since attention grows with their square."""
    narrow, wide = (cost_of(SMALL | {"ffn_dim": size}, side=4) for size in (32, 64))
    assert wide.flops - narrow.flops == 2 * 16 * (2 * 32 * 24)
    assert cost_of(SMALL, side=8).flops > 4 * narrow.flops


def test_memory_is_sixteen_bytes_a_parameter_in_training_shared_between_devices():
    cost = Cost(parameters=10**9, tokens=1, flops=8, saved=10**9)
    assert cost.gigabytes(optimiser=False, windows=1) == 2
    assert cost.gigabytes(optimiser=True, windows=3) == 16 + 6
    assert cost.gigabytes(optimiser=True, windows=3, devices=4) == 4 + 6
    assert cost.imagining(steps=5) == 5 and cost.training(windows=2) == 48
