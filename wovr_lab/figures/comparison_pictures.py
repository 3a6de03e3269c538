"""Pictures of a run: strips of real above imagined, films of the base and the improved policy.

In: RUN/comparison/*.hdf5 (the evaluate stage). Out: RUN/pictures/strip-KIND-N.png and RUN/videos/*.mp4, for the report.
"""

from __future__ import annotations

import math
from pathlib import Path

from wovr_lab.episodes import EpisodeStore
from wovr_lab.figures.pictures import save_picture, save_video, strip
from wovr_lab.types import Episode

KINDS = ("success", "imagined_only", "real_only", "failure")
STRIDE, MOST = 2, 25  # every second frame of an episode, or fewer of a long one: a strip shall fit a screen
FILM_SCALE = 8


def draw_comparisons(run: Path) -> None:
    """Draws what is there; a kind of outcome that did not happen has no picture."""
    policy = "wovr" if (run / "comparison" / "wovr.hdf5").exists() else "base"
    for kind in KINDS:
        real, imagined = (run / "comparison" / f"{policy}-{kind}-{world}.hdf5" for world in ("real", "imagined"))
        if real.exists():
            for number, pair in enumerate(zip(EpisodeStore([real]), EpisodeStore([imagined]), strict=True)):
                save_picture(run / "pictures" / f"strip-{kind}-{number}.png", strip(_rows(*pair), scale=3))
    for name in ("base", "wovr"):
        films = run / "comparison" / f"{name}.hdf5"
        if films.exists():
            _film(run, "improved" if name == "wovr" else name, EpisodeStore([films]))


def _rows(real: Episode, imagined: Episode) -> list:
    length = min(len(real.frames), len(imagined.frames))
    stride = max(STRIDE, math.ceil(length / MOST))
    return [real.frames[:length:stride], imagined.frames[:length:stride]]


def _film(run: Path, name: str, episodes: EpisodeStore) -> None:
    """The first success and the first failure."""
    for outcome, success in (("success", True), ("failure", False)):
        chosen = episodes.select(success=success)
        if len(chosen):
            save_video(run / "videos" / f"{name}-{outcome}-0.mp4", chosen[0].frames, scale=FILM_SCALE)
