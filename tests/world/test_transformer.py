"""The transformer: saves as what it is, is told actions in two channels and a time for each token."""

import logging

import pytest
import torch

from wovr_lab.types import NOOP
from wovr_lab.world.transformer import WHOLE_WINDOW, ActionWanTransformer

SIDE, TOKENS = 8, 16  # cells of a latent, tokens a latent


def inputs(seed: int = 0, sigma: float = 0.7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents [2, 8, 4, 8, 8], times [2, 64], actions [2, 13, 7]."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(2, 8, 4, SIDE, SIDE, generator=generator)
    times = torch.tensor([0.0, 0.0, sigma, sigma]).repeat_interleave(TOKENS).expand(2, -1) * 1000
    actions = torch.rand(2, 13, 7, generator=generator) * 2 - 1
    actions[:, 0] = torch.as_tensor(NOOP)
    return latents, times, actions


@torch.no_grad()
def answer(transformer: ActionWanTransformer, *given: torch.Tensor) -> torch.Tensor:
    return transformer(*given, return_dict=False)[0]


@pytest.mark.parametrize("channels", ["both", "modulation", "attention"])
def test_saving_and_loading_gives_the_same_class_and_answers_without_a_warning(
    channels, make_transformer, tmp_path, caplog
):
    transformer = make_transformer(action_channels=channels)
    expected = answer(transformer, *inputs())
    library = logging.getLogger("diffusers")
    library.addHandler(caplog.handler)
    transformer.save_pretrained(tmp_path)
    loaded, report = ActionWanTransformer.from_pretrained(tmp_path, output_loading_info=True)
    library.removeHandler(caplog.handler)
    assert type(loaded) is ActionWanTransformer and loaded.config.action_channels == channels
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert torch.equal(answer(loaded.eval(), *inputs()), expected)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_untrained_transformer_answers_zero(make_transformer):
    assert (answer(make_transformer(loud=False), *inputs()) == 0).all()


def test_the_modulation_channel_starts_silent_yet_learns(make_transformer):
    transformer = make_transformer(loud=False, action_channels="modulation")
    torch.nn.init.normal_(transformer.proj_out.weight, std=0.2)
    latents, times, actions = inputs()
    assert torch.equal(answer(transformer, latents, times, actions), answer(transformer, latents, times, -actions))
    transformer(latents, times, actions, return_dict=False)[0].square().mean().backward()
    assert transformer.condition_embedder.modulation[-1].weight.grad.abs().sum() > 0


def test_every_weight_learns_once_nothing_is_silent(make_transformer):
    transformer = make_transformer()
    transformer(*inputs(), return_dict=False)[0].square().mean().backward()
    silent = [name for name, p in transformer.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert silent == []


@pytest.mark.parametrize("channels", ["both", "modulation", "attention"])
def test_actions_matter_through_either_channel(channels, make_transformer):
    latents, times, actions = inputs()
    transformer = make_transformer(action_channels=channels)
    other = actions.clone()
    other[:, -1, 0] += 0.5
    difference = answer(transformer, latents, times, other) - answer(transformer, latents, times, actions)
    assert difference.abs().max() > 1e-4


def test_a_channel_that_is_cut_has_no_influence(make_transformer):
    given = inputs()
    for cut, kept in (("modulation", "attention"), ("attention", "modulation")):
        transformer = make_transformer(action_channels=kept)
        before = answer(transformer, *given)
        torch.nn.init.normal_(getattr(transformer.condition_embedder, cut)[0].weight, std=3.0)
        assert torch.equal(answer(transformer, *given), before), f"{cut} still speaks"
        torch.nn.init.normal_(getattr(transformer.condition_embedder, kept)[0].weight, std=3.0)
        assert not torch.equal(answer(transformer, *given), before), f"{kept} is silent too"


def test_an_unknown_channel_is_refused(make_transformer):
    with pytest.raises(ValueError, match="both, modulation or attention"):
        make_transformer(action_channels="telepathy")


def test_channel_a_gives_each_latent_the_four_actions_that_made_it_and_the_anchor_hold_alone(make_transformer):
    embedder = make_transformer().condition_embedder
    _, times, actions = inputs()

    def modulations(given: torch.Tensor) -> torch.Tensor:
        return embedder(times.flatten(), given, timestep_seq_len=4 * TOKENS)[1].view(2, 4, TOKENS, -1)

    for latent, frames in ((0, [0]), (1, [1, 2, 3, 4]), (2, [5, 6, 7, 8]), (3, [9, 10, 11, 12])):
        for frame in frames:
            other = actions.clone()
            other[:, frame] += 0.3
            changed = (modulations(other) - modulations(actions)).abs().amax((0, 2, 3)) > 0
            assert changed.nonzero().flatten().tolist() == [latent], f"action {frame}"


def test_channel_b_makes_one_token_of_every_frames_action(make_transformer):
    embedder = make_transformer().condition_embedder
    _, times, actions = inputs()
    other = actions.clone()
    other[:, 6] += 0.3
    words = [embedder(times.flatten(), given, timestep_seq_len=4 * TOKENS)[2] for given in (actions, other)]
    assert words[0].shape == (2, 13, 32)
    assert (words[0] != words[1]).any(-1)[0].nonzero().flatten().tolist() == [6]


def test_times_are_told_by_token(make_transformer):
    transformer = make_transformer()
    latents, times, actions = inputs(sigma=0.7)
    _, later, _ = inputs(sigma=0.3)
    assert not torch.equal(answer(transformer, latents, times, actions), answer(transformer, latents, later, actions))
    embedded = [transformer.condition_embedder(t.flatten(), actions, timestep_seq_len=64)[0] for t in (times, later)]
    changed = (embedded[0] != embedded[1]).any(-1)[0]
    assert not changed[: 2 * TOKENS].any() and changed[2 * TOKENS :].all()


def test_tokens_through_the_whole_window_are_as_many_on_a_finer_grid_and_are_told_every_action(make_transformer):
    transformer = make_transformer(patch_size=WHOLE_WINDOW)
    latents, _, actions = inputs()
    times = torch.full((2, SIDE * SIDE), 700.0)
    before = answer(transformer, latents, times, actions)
    assert before.shape == latents.shape
    for frame in range(13):
        other = actions.clone()
        other[:, frame] += 0.3
        told = [transformer.condition_embedder(times.flatten(), a, timestep_seq_len=64)[1] for a in (actions, other)]
        assert (told[0] != told[1]).any(-1).all(), f"action {frame}"
    with torch.no_grad():  # without attention between them, a cell's answer depends on that cell alone
        for block in transformer.blocks:
            block.attn1.to_out[0].weight.zero_()
    alone, other = answer(transformer, latents, times, actions), latents.clone()
    other[:, :, 1, 3, 5] += 1
    changed = (answer(transformer, other, times, actions) != alone).any(1)  # [2, 4, 8, 8]
    assert changed[:, :, 3, 5].all() and changed.sum() == 2 * 4


def test_a_model_of_the_size_of_wan_2_2_5b_can_be_built():
    with torch.device("meta"):
        transformer = ActionWanTransformer(
            num_attention_heads=24, attention_head_dim=128, in_channels=48, out_channels=48,
            freq_dim=256, ffn_dim=14336, num_layers=30, rope_max_seq_len=1024,
        )  # fmt: skip
    assert 4.5e9 < sum(parameter.numel() for parameter in transformer.parameters()) < 5.5e9
