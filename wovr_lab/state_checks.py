"""What the chunk environment's contract says of the robot's state, for `checks.check_chunk_env`.

In: an environment, what its reset or step gave. Out: nothing, or an AssertionError that names the broken rule. A world
without a robot gives no state, and none of this is asked of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wovr_lab.contracts import ChunkEnv, Observation
from wovr_lab.errors import require
from wovr_lab.types import Start


def check_state(env: ChunkEnv, observation: Observation, moment: str) -> None:
    """A state is there if the environment has a robot, and only then; it is of that robot, and finite."""
    require(
        ("state" in observation) == (env.robot is not None),
        f"{moment}: observation needs a 'state' if the environment has a robot, and only then",
    )
    if env.robot is None:
        return
    state, shape = observation["state"], (env.num_envs, len(env.robot.entries))
    require(
        state.dtype == np.float32 and state.shape == shape,
        f"{moment}: state must be float32 {shape}, is {state.dtype} {state.shape}",
    )
    require(
        env.observation_space["state"].contains(state),
        f"{moment}: state must be finite and in the units of {', '.join(env.robot.names)}",
    )


def check_first_state(env: ChunkEnv, observation: Observation, info: dict[str, Any], starts: Sequence[Start]) -> None:
    """The robot begins where the starts say that it is."""
    if env.robot is None:
        return
    require(
        "proprio" in info and np.array_equal(info["proprio"], observation["state"]),
        "reset: info needs 'proprio', the robot's state that the observation holds",
    )
    for row, start in enumerate(starts):
        if start.proprio is not None:
            require(
                np.allclose(observation["state"][row], start.proprio[-1], atol=1e-5),
                f"reset: row {row} must begin in the robot's state of its start",
            )


def check_last_state(env: ChunkEnv, observation: Observation, info: dict[str, Any]) -> None:
    """A step says the state after each action, the last of which the observation holds."""
    if env.robot is None:
        return
    require("proprio" in info, "info needs 'proprio', the robot's state after each action")
    last = info["proprio"][:, -1]
    require(np.array_equal(last, observation["state"]), "the last of 'proprio' must be the observation's state")
