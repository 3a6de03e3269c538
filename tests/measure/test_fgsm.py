import numpy as np
import pytest

from wovr_lab.errors import UserError
from wovr_lab.measure.fgsm import fgsm
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.seeding import stream

WORDS = ("push the red cube", "push the blue cube")


def test_a_picture_is_changed_a_little_and_towards_success():
    classifier = SuccessClassifier(WORDS).eval()
    frames = stream(0, "fooling").integers(50, 200, (6, 32, 32, 3)).astype(np.uint8)
    words = [WORDS[row % 2] for row in range(6)]
    changed = fgsm(classifier, frames, words, 4)
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - frames).max() == 4
    before, after = (classifier.probability(each[:, None], words) for each in (frames, changed))
    assert (after > before).all()
    assert (fgsm(classifier, frames, words, 0) == frames).all()


def test_changes_stay_within_a_picture_and_others_are_refused():
    classifier = SuccessClassifier(WORDS).eval()
    frames = np.full((1, 32, 32, 3), 254, np.uint8)
    assert fgsm(classifier, frames, WORDS[:1], 200).max() == 255
    with pytest.raises(UserError, match="by 0 to 255 grey levels, not by 256"):
        fgsm(classifier, frames, WORDS[:1], 256)
