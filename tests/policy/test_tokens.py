import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.policy.tokens import ActionTokens


def test_every_token_survives_decoding_and_encoding():
    for bins in (3, 21, 255):
        vocabulary = ActionTokens(bins)
        tokens = torch.arange(bins)
        assert torch.equal(vocabulary.encode(vocabulary.decode(tokens)), tokens)


def test_the_ends_and_zero_are_exact():
    assert ActionTokens(21).decode(torch.tensor([0, 10, 20])).tolist() == [-1.0, 0.0, 1.0]


def test_an_action_takes_the_nearest_bin_and_the_range_is_cut():
    assert ActionTokens(21).encode(torch.tensor([0.04, 0.06, -0.94, -0.96, 3.0, -3.0])).tolist() == [
        10,
        11,
        1,
        0,
        20,
        0,
    ]


def test_translation_labels_are_gaussian_about_the_exact_value_and_the_others_are_one_hot():
    targets = ActionTokens(21, sigma=0.8).targets(torch.tensor([0.05, 0.0, 1.0, 0.04, -1.0, 0.0, 1.0]))
    assert targets.shape == (7, 21)
    assert torch.allclose(targets.sum(-1), torch.ones(7))
    assert targets[0, 10] == pytest.approx(float(targets[0, 11]))  # half-way between two bins
    assert float(targets[1, 11] / targets[1, 10]) == pytest.approx(torch.e ** (-0.5 / 0.64), rel=1e-4)
    assert targets[3:].sum() == 4 and targets[3:].max(-1).indices.tolist() == [10, 0, 10, 20]


def test_an_even_number_of_bins_has_no_zero_and_is_refused():
    with pytest.raises(UserError, match="odd number of bins"):
        ActionTokens(20)
