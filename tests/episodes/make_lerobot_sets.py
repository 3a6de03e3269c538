"""Makes the sets in `tests/data/lerobot`, with LeRobot itself, and reads a set of ours with it.

LeRobot takes 5 GB and another torch than this project, so this runs by hand in an environment of its own:

    python3.12 -m venv lerobot && lerobot/bin/pip install 'lerobot[dataset]==0.6.1'
    lerobot/bin/python tests/episodes/make_lerobot_sets.py tests/data/lerobot      # writes there
    lerobot/bin/python tests/episodes/make_lerobot_sets.py --read SET EXPECTED.npz  # compares a set of ours

The tests read these sets and know what must be in them by the same formulas.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

LENGTHS, SIDE, FPS = (5, 7), 64, 10
WORDS = ("push the cube", "lift the cup")
WRIST, FRONT = "observation.images.wrist", "observation.images.front"


def frame(camera: str, episode: int, step: int, side: int = SIDE) -> np.ndarray:
    """A smooth picture, another one at each step, which a video codec keeps nearly as it is."""
    y, x = np.mgrid[:side, :side] * (64 // side)
    shift = 20 * step + 7 * episode
    red = 60 + x + shift if camera == FRONT else 200 - x - shift // 2
    return np.stack([red, 40 + y + 10 * episode, np.full_like(x, 30 + 12 * step)], -1).clip(0, 255).astype(np.uint8)


def state(episode: int, step: int) -> np.ndarray:
    """Three numbers."""
    return np.array([episode, step, step / 10], np.float32)


def action(episode: int, step: int) -> np.ndarray:
    """Seven numbers in [-1, 1]."""
    return np.linspace(-1, 1, 7, dtype=np.float32) * (step + 1) / (10 + episode)


def make(root: Path, is_video: bool) -> None:
    """Two episodes of two cameras; the first succeeds before its last step, the second at none."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    side = SIDE if is_video else SIDE // 4
    kind = "video" if is_video else "image"
    picture = {"dtype": kind, "shape": (side, side, 3), "names": ["height", "width", "channels"]}
    features = {
        FRONT: picture,
        WRIST: picture,
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
        "action": {"dtype": "float32", "shape": (7,), "names": None},
        "next.success": {"dtype": "bool", "shape": (1,), "names": None},
    }
    made = LeRobotDataset.create("test/set", FPS, features, root=root, use_videos=is_video)
    for episode, (length, words) in enumerate(zip(LENGTHS, WORDS, strict=True)):
        for step in range(length):
            made.add_frame(
                {
                    FRONT: frame(FRONT, episode, step, side),
                    WRIST: frame(WRIST, episode, step, side),
                    "observation.state": state(episode, step),
                    "action": action(episode, step),
                    "next.success": np.array([episode == 0 and step == length - 2]),
                    "task": words,
                }
            )
        made.save_episode()
    made.finalize()


def compare(root: Path, expected: Path) -> None:
    """Every row of a set of ours, as LeRobot gives it, and a window of it."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    known = np.load(expected)
    camera = "observation.images.agentview"
    found = LeRobotDataset("test/ours", root=root, video_backend="pyav", delta_timestamps={"action": [0.0, 0.04]})
    assert len(found) == len(known["frames"]), (len(found), len(known["frames"]))
    worst = 0
    for number in range(len(found)):
        row = found[number]
        picture = (row[camera].numpy().transpose(1, 2, 0) * 255).round().astype(int)
        worst = max(worst, int(np.abs(picture - known["frames"][number]).max()))
        assert np.array_equal(row["action"][0].numpy(), known["actions"][number]), number
        assert row["task"] == known["tasks"][number], number
        for name in ("observation.state", "next.success"):
            if name in known:
                assert np.array_equal(np.ravel(row[name].numpy()), np.ravel(known[name][number])), (name, number)
    print(f"{found.num_episodes} episodes, {len(found)} rows, largest pixel error {worst}, the rest equal")
    print("statistics:", sorted(found.meta.stats), found.meta.stats[camera]["mean"].ravel())


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        compare(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        make(Path(sys.argv[1]) / "pictures", is_video=False)
        make(Path(sys.argv[1]) / "videos", is_video=True)
