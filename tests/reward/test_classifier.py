"""The success classifier: one logit an instruction, runs of frames, what it refuses and keeps."""

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.reward.classifier import SuccessClassifier, consecutive_hits

WORDS = ("push the red cube", "lift the red cube")


@pytest.fixture
def classifier() -> SuccessClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SuccessClassifier(WORDS, width=8).eval()


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 5, 32, 32, 3), np.uint8)


def test_runs_of_consecutive_frames_by_hand():
    above = np.array([[1, 1, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1]], bool)
    assert (consecutive_hits(above, 1) == above).all()
    assert consecutive_hits(above, 2).astype(int).tolist() == [[0, 1, 0, 0, 1, 1], [0] * 6]
    assert consecutive_hits(above, 3).astype(int).tolist() == [[0, 0, 0, 0, 0, 1], [0] * 6]
    assert not consecutive_hits(above, 7).any()
    assert above.sum() == 8  # its input is left alone


def test_each_row_is_judged_by_its_own_instruction(classifier, frames):
    both = [classifier.probability(frames, [word] * 2) for word in WORDS]
    mixed = classifier.probability(frames, WORDS)
    assert mixed.shape == (2, 5) and mixed.dtype == np.float32 and ((mixed > 0) & (mixed < 1)).all()
    assert np.array_equal(mixed, np.stack([both[0][0], both[1][1]])) and not np.array_equal(*both)


def test_hits_need_the_threshold_often_enough(classifier):
    probabilities = np.array([[0.7, 0.8, 0.6, 0.9]], np.float32)
    assert classifier.hits(probabilities).tolist() == [[False, True, True, True]]
    classifier.threshold.fill_(0.65)
    assert classifier.hits(probabilities).tolist() == [[False, True, False, False]]


def test_an_unknown_instruction_and_a_wrong_size_are_refused(classifier, frames):
    with pytest.raises(UserError, match="not on 'juggle'"):
        classifier.probability(frames, [WORDS[0], "juggle"])
    with pytest.raises(UserError, match="takes frames"):
        classifier.probability(frames[:, :, :16, :16], WORDS)
    with pytest.raises(UserError, match="takes frames"):
        classifier.probability(frames[0], WORDS)


@pytest.mark.parametrize("wrong", [{"instructions": ()}, {"resolution": 40}, {"consecutive": 0}])
def test_a_classifier_that_cannot_be_is_refused(wrong):
    with pytest.raises(UserError, match="a classifier needs"):
        SuccessClassifier(**{"instructions": WORDS} | wrong)


def test_a_saved_classifier_comes_back_with_its_threshold(classifier, frames, tmp_path):
    classifier.threshold.fill_(0.825)
    classifier.save(tmp_path / "reward")
    loaded = SuccessClassifier.load(tmp_path / "reward")
    assert float(loaded.threshold) == float(classifier.threshold) and loaded.config.consecutive == 2
    assert tuple(loaded.config.instructions) == WORDS
    assert np.array_equal(loaded.probability(frames, WORDS), classifier.probability(frames, WORDS))


def test_a_folder_without_a_whole_classifier_is_refused(classifier, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        SuccessClassifier.load(tmp_path)
    classifier.save(tmp_path / "reward")
    weights = next((tmp_path / "reward").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(UserError, match="no usable SuccessClassifier"):
        SuccessClassifier.load(tmp_path / "reward")
