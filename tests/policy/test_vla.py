import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy

INSTRUCTIONS = ("push the red cube into the zone", "put the red cube on the plate", "push the blue one")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_log_prob_reproduces_the_log_probabilities_of_the_sample_at_the_same_temperature(policy, frames):
    for temperature in (0.7, 1.0, 1.6):
        chunk = policy.act({"frame": frames}, INSTRUCTIONS, generator(), temperature)
        again = policy.log_prob({"frame": frames}, INSTRUCTIONS, chunk.tokens, temperature)
        assert (again - chunk.log_probs).abs().max() < 1e-4
        other = policy.log_prob({"frame": frames}, INSTRUCTIONS, chunk.tokens, temperature * 2)
        assert (other - chunk.log_probs).abs().max() > 1e-2


def test_a_row_has_the_same_log_probabilities_whatever_other_rows_and_longer_instructions_are_beside_it(policy, frames):
    chunk = policy.act({"frame": frames}, INSTRUCTIONS, generator(), 1.0)
    for row in range(3):
        alone = policy.log_prob({"frame": frames[row : row + 1]}, INSTRUCTIONS[row : row + 1], chunk.tokens[[row]], 1.0)
        assert (alone - chunk.log_probs[[row]]).abs().max() < 1e-4


def test_probabilities_sum_to_one_over_the_bins(policy, frames):
    every = [policy.log_prob({"frame": frames}, INSTRUCTIONS, torch.full((3, 8, 7), bin), 1.3) for bin in range(21)]
    assert torch.allclose(torch.stack(every).exp().sum(0), torch.ones(3, 8, 7), atol=1e-5)


def test_samples_follow_the_probabilities(policy, frames):
    many = np.repeat(frames[:1], 400, 0)
    tokens = policy.act({"frame": many}, INSTRUCTIONS[:1] * 400, generator(), 1.0).tokens[:, 0, 0]
    expected = policy.logits({"frame": frames[:1]}, INSTRUCTIONS[:1])[0, 0, 0].softmax(-1)
    assert (torch.bincount(tokens, minlength=21) / 400 - expected).abs().max() < 0.06


def test_only_the_generator_decides_a_sample(policy, frames):
    torch.manual_seed(1)
    first = policy.act({"frame": frames}, INSTRUCTIONS, generator(5), 1.0).tokens
    torch.manual_seed(2)
    assert torch.equal(policy.act({"frame": frames}, INSTRUCTIONS, generator(5), 1.0).tokens, first)
    assert not torch.equal(policy.act({"frame": frames}, INSTRUCTIONS, generator(6), 1.0).tokens, first)


def test_greedy_actions_are_the_likeliest_bins_and_lie_in_range(policy, frames):
    chunk = policy.act({"frame": frames}, INSTRUCTIONS, generator(), 0.0)
    assert torch.equal(chunk.tokens, policy.logits({"frame": frames}, INSTRUCTIONS).argmax(-1))
    assert chunk.log_probs is None
    assert chunk.actions.shape == (3, 8, 7) and chunk.actions.dtype == np.float32
    assert np.array_equal(chunk.actions, policy.action_tokens.decode(chunk.tokens).numpy())


def test_log_prob_is_differentiable_and_reaches_every_parameter(policy, frames):
    policy.log_prob({"frame": frames}, INSTRUCTIONS, torch.zeros(3, 8, 7, dtype=torch.long), 1.0).sum().backward()
    still = [name for name, value in policy.named_parameters() if value.grad is None or not value.grad.any()]
    # a key's bias shifts all its attention scores alike, so softmax removes it
    assert [name for name in still if not name.endswith("k_proj.bias")] == []


def test_the_instruction_changes_the_decision(policy, frames):
    same = np.repeat(frames[:1], 2, 0)
    logits = policy.logits({"frame": same}, (INSTRUCTIONS[0], INSTRUCTIONS[2]))
    assert (logits[0] - logits[1]).abs().max() > 1e-3


def test_unknown_words_are_read_as_unknown(policy, frames):
    one = policy.logits({"frame": frames[:1]}, ("push the gizmo",))
    assert torch.equal(one, policy.logits({"frame": frames[:1]}, ("push the widget",)))


def test_weights_depend_on_the_run_seed_alone():
    def weights(run_seed: int) -> torch.Tensor:
        config = VLAConfig(stem_width=8, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
        policy = VLAPolicy.create(config, build_tokenizer(INSTRUCTIONS), run_seed)
        return torch.cat([value.flatten() for value in policy.parameters()])

    before = torch.random.get_rng_state()
    first = weights(0)
    torch.manual_seed(99)
    assert torch.equal(weights(0), first) and not torch.equal(weights(1), first)
    torch.random.set_rng_state(before)


def test_larger_pictures_take_more_tokens_or_larger_patches():
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    for pixels, tokens in ((8, 64), (16, 16)):
        config = VLAConfig(resolution=64, pixels_per_token=pixels, stem_width=8, hidden_size=32, num_hidden_layers=1)
        policy = VLAPolicy.create(config, build_tokenizer(INSTRUCTIONS), 0)
        assert policy.stem(torch.zeros(1, 3, 64, 64)).shape == (1, tokens, 32)
        assert policy.act({"frame": frames}, INSTRUCTIONS[:1], generator(), 0.0).actions.shape == (1, 8, 7)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((3, 16, 16, 3), np.uint8), "frames"),
        (np.zeros((2, 32, 32, 3), np.uint8), "instructions must be 2 texts"),
        (np.zeros((3, 3, 32, 32), np.uint8), "frames"),
        (np.zeros((3, 32, 32, 3), np.float32), "frames"),
    ],
    ids=["resolution", "rows", "channels first", "float"],
)
def test_frames_of_another_shape_or_type_are_refused(policy, wrong, said):
    with pytest.raises(UserError, match=said):
        policy.act({"frame": wrong}, INSTRUCTIONS, generator(), 0.0)


def test_a_temperature_without_probabilities_is_refused(policy, frames):
    for temperature in (-1.0, 1e-300, float("nan")):
        with pytest.raises(UserError, match=f"temperature {temperature}"):
            policy.act({"frame": frames}, INSTRUCTIONS, generator(), temperature)
    with pytest.raises(UserError, match="temperature 0"):
        policy.log_prob({"frame": frames}, INSTRUCTIONS, torch.zeros(3, 8, 7, dtype=torch.long), 0.0)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="divides the resolution"):
        VLAConfig(resolution=36)
    with pytest.raises(UserError, match="raise vocab_size"):
        VLAPolicy.create(VLAConfig(vocab_size=3), build_tokenizer(INSTRUCTIONS), 0)
