"""Prints what our LIBERO environment costs against the package's own, in the same run: physics and pictures a step.

Both execute the same random actions at the same resolution, in turns, so that a busy machine slows both; a ratio is the
median over the turns. It also says how much the pictures differ. Needs the libero extra (make libero).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from timing import Figure, Work, in_turns

from wovr_lab.publish.libero_results import put_rows
from wovr_lab.real.libero.env import CAMERA, LiberoEnv
from wovr_lab.real.libero.render import FAST, PACKAGE, Renderer
from wovr_lab.real.libero.robosuite import global_randomness
from wovr_lab.types import CHUNK

TASK = "libero_spatial/pick_up_the_black_bowl_on_the_stove_and_place_it_on_the_plate"
PACKAGED = "package, one camera"
Steps = Callable[[np.ndarray], None]  # executes actions [CHUNK, 7]


def package_steps(env: LiberoEnv, cameras: list[str]) -> Steps:
    """The package's own environment with its own settings."""
    from libero.libero.envs import OffScreenRenderEnv

    side = env.resolution
    with global_randomness(0):
        package = OffScreenRenderEnv(
            bddl_file_name=str(env.definition.bddl), camera_names=cameras, camera_heights=side, camera_widths=side,
            ignore_done=True,
        )  # fmt: skip
        package.reset()

    def execute(actions: np.ndarray) -> None:
        for action in actions:
            package.step(action)

    return execute


def our_steps(env: LiberoEnv, every_frame: bool) -> Steps:
    """Our environment, drawing each frame, or only a chunk's last, which is what a policy sees."""

    def execute(actions: np.ndarray) -> None:
        for index, action in enumerate(actions):
            env.apply_action(action)
            if every_frame or index == len(actions) - 1:
                env.render_frame()

    return execute


def picture_difference(env: LiberoEnv) -> tuple[float, float]:
    """Mean grey levels, and share of pixels more than 32 levels off, between fast and package settings."""
    simulator, found = env.simulator, []
    renderers = [Renderer(simulator.model, CAMERA, env.resolution, settings) for settings in (PACKAGE, FAST)]
    for seed in range(3):
        env.reset_to(env.task, seed, None)
        pictures = [renderer.draw(simulator.data).astype(int) for renderer in renderers]
        difference = np.abs(pictures[0] - pictures[1])
        found.append((difference.mean(), (difference.max(-1) > 32).mean()))
    return tuple(np.mean(found, 0))


def main(resolution: int, turns: int, write: bool) -> None:
    """Measures and prints; with `write` the ratios go to data/results/libero.json."""
    env = LiberoEnv(TASK, resolution)
    env.reset_to(env.task, 0, None)
    settings = {
        PACKAGED: package_steps(env, [CAMERA]),
        "package, both cameras (its default)": package_steps(env, [CAMERA, "robot0_eye_in_hand"]),
        "ours, every frame": our_steps(env, every_frame=True),
        "ours, a chunk's last frame": our_steps(env, every_frame=False),
    }
    actions = np.random.default_rng(0).uniform(-0.5, 0.5, (turns + 1, CHUNK, 7))
    seconds = in_turns({name: _each(execute, iter(actions)) for name, execute in settings.items()}, turns)
    rows = []
    for name, values in seconds.items():
        ratios = [one / other for one, other in zip(seconds[PACKAGED], values, strict=True)]
        rows.append(Figure(name, "stepping_speedup", tuple(ratios)).row())
        step = 1000 * statistics.median(values) / CHUNK
        print(f"{name:36} {step:7.1f} ms a step   {rows[-1]['value']:5.2f} x")
    levels, share = picture_difference(env)
    print(f"fast against package pictures at {resolution}: {levels:.2f} grey levels, {share:.1%} of pixels > 32 off")
    env.close()
    if write:
        card = {
            "command": f"python benchmarks/libero_speed.py --resolution {resolution} --turns {turns} --write",
            "task": TASK, "reference": PACKAGED, "resolution": resolution,
            "interval": "least and greatest of the turns",
            "picture_difference": {"grey_levels": levels, "share_of_pixels_32_off": share},
        }  # fmt: skip
        put_rows(Path("data/results/libero.json"), rows, {"stepping_speedup": card})


def _each(execute: Steps, chunks: Iterator[np.ndarray]) -> Work:
    """Executes the next chunk at each call."""
    return lambda: execute(next(chunks))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the ratios into data/results/libero.json")
    chosen = parser.parse_args()
    main(chosen.resolution, chosen.turns, chosen.write)
