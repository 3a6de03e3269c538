"""How easily a reward is misled: the smallest pictures that change its mind (not in the paper).

In: a success classifier, frames. Out: the same frames, changed by a few grey levels where that raises the probability
of success most (fast gradient sign, Goodfellow et al. 2015). A policy that is trained against a learnt world and a
learnt reward has the same freedom, and looks for the same weakness.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from wovr_lab.errors import UserError
from wovr_lab.pixels import to_float
from wovr_lab.reward.classifier import SuccessClassifier


def fgsm(classifier: SuccessClassifier, frames: np.ndarray, instructions: Sequence[str], levels: int) -> np.ndarray:
    """Frames uint8 [N, H, W, 3], every value moved by at most `levels` grey levels. Raises UserError outside 0-255."""
    if not 0 <= levels <= 255:
        raise UserError(f"a picture can be changed by 0 to 255 grey levels, not by {levels}")
    pictures = to_float(frames, classifier.device).requires_grad_()
    logits = classifier(pictures).take_along_dim(classifier.columns(instructions)[:, None], 1)
    (gradient,) = torch.autograd.grad(logits.sum(), pictures)
    direction = gradient.sign().movedim(1, -1).cpu().numpy().astype(np.int16)
    return (frames.astype(np.int16) + levels * direction).clip(0, 255).astype(np.uint8)
