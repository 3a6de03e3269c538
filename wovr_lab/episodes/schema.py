"""What a demonstration file holds and how its arrays line up with an `Episode` (paper section 6).

LIBERO's files keep, for each action i, the state *before* it and the picture *after* it:

    time        0   .   1   .   2   ...  T-1   .   T        f: frame, s: state, a: action
    f and s    f0      f1      f2       fT-1      fT
    a              a0      a1      ...       aT-1
    on disk: actions[i] = a_i, states[i] = s_i, obs[i] = f_{i+1}; f0 and s_T are missing

Official files have no more (and leave out the first five actions of what was recorded), so an episode read from one
begins at f1: it has the T - 1 actions a1.. and its last state, which nobody stored, is NaN. Ours keep f0 and s_T in a
group `wovr/` that other readers ignore, so nothing is lost. Pictures are turned by 180 degrees on disk.

Files made again without their no-ops (OpenVLA's script) keep the picture *before* the action. They are told by the
arm's joints, or by the hand's place, and read in step: their episodes begin at f0 and end at f(T-1), without the last
action, whose outcome no picture shows.

The robot's own state stands beside the pictures, after each action: LIBERO's as `obs/ee_pos`, `ee_ori` and
`gripper_states`, which an official file's episode reads in that order; ours, of any robot, whole in `wovr/`. A file
that was written without it is read without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np

from wovr_lab.types import ACTION_DIM

OURS = "wovr"
FRAMES = "obs/agentview_rgb"
INITIAL_FRAME, FINAL_STATE, SUCCESS = f"{OURS}/initial_frame", f"{OURS}/final_state", f"{OURS}/success"
PROPRIO, INITIAL_PROPRIO = f"{OURS}/proprio", f"{OURS}/initial_proprio"
READINGS = ("obs/ee_pos", "obs/ee_ori", "obs/gripper_states")  # LIBERO's names, 3 + 3 + 2 numbers
HAND_BEFORE = "robot_states"  # gripper 2, place 3, turn 4; LIBERO's own script takes it after the action
# what is read beside the pictures, what is known of the state before the action, and the columns that tell the same
JOINTS = ("obs/joint_states", "states", slice(1, 8))  # the simulator's: time, then positions, the arm's first
HAND = ("obs/ee_pos", HAND_BEFORE, slice(2, 5))
OFFICIAL_MARK = "model_file"  # an attribute that LIBERO's script gives every demonstration
LARGEST_DATASET = 2**30  # bytes unpacked; ten times the longest LIBERO episode at 256 x 256


@dataclass(frozen=True)
class Field:
    """One dataset of a demonstration; `shape` says "T" for one entry an action and "*" for any size."""

    name: str
    kinds: str  # NumPy kinds: f float, u unsigned, i integer, b truth value
    shape: tuple[int | str, ...]
    required: bool = True


OFFICIAL_FIELDS = (
    Field("actions", "f", ("T", ACTION_DIM)),
    Field(FRAMES, "u", ("T", "*", "*", 3)),
    Field("states", "f", ("T", "*"), required=False),
    Field("rewards", "fiub", ("T",)),
    Field("dones", "fiub", ("T",)),
    *(Field(name, "f", ("T", "*"), required=False) for name in (*READINGS, HAND_BEFORE)),
)
OUR_FIELDS = (
    *OFFICIAL_FIELDS,
    Field("expert_actions", "f", ("T", ACTION_DIM), required=False),
    Field(INITIAL_FRAME, "u", ("*", "*", 3)),
    Field(FINAL_STATE, "f", ("*",), required=False),
    Field(SUCCESS, "b", ("T",)),
    Field(INITIAL_PROPRIO, "f", ("*",), required=False),
    Field(PROPRIO, "f", ("T", "*"), required=False),
)
OUR_ATTRIBUTES = ("task", "instruction", "seed")


def is_ours(demonstration: h5py.Group) -> bool:
    """Whether it carries the first frame and the other things that LIBERO's files lack."""
    return OURS in demonstration


def fields_of(demonstration: h5py.Group) -> tuple[Field, ...]:
    """The datasets that this kind of demonstration may or must have."""
    return OUR_FIELDS if is_ours(demonstration) else OFFICIAL_FIELDS


def pictures_come_first(demonstration: h5py.Group) -> bool:
    """Whether picture i was taken *before* action i, as in files made again without their no-ops. The arm's joints say
    it; without them the hand's place does, but for LIBERO's own script, which takes `robot_states` after the action.
    Files that do not say it are official ones."""
    if is_ours(demonstration):
        return False
    joints = _is_of_same_state(demonstration, *JOINTS)
    if joints is not None:
        return joints
    return OFFICIAL_MARK not in demonstration.attrs and bool(_is_of_same_state(demonstration, *HAND))


def _is_of_same_state(demonstration: h5py.Group, beside: str, before: str, part: slice) -> bool | None:
    """Whether what was read beside picture i is that of state i rather than of the one after it; None if unknown."""
    if beside not in demonstration or before not in demonstration:
        return None
    shown, states = demonstration[beside][()], demonstration[before][()]
    if shown.ndim != 2 or states.ndim != 2 or shown.shape != states[:, part].shape:
        return None
    shown, known = shown[:-1], states[:, part]
    return bool(np.abs(shown - known[:-1]).mean() < np.abs(shown - known[1:]).mean())


def first_action(demonstration: h5py.Group) -> int:
    """Where the episode's first action stands on disk: 0, or 1 where the frame before action 0 was not stored."""
    return 0 if is_ours(demonstration) or pictures_come_first(demonstration) else 1


def shown_actions(demonstration: h5py.Group) -> slice:
    """The actions on disk that stand between two stored frames: an official file lacks the frame before the first, one
    whose pictures come first the frame after the last."""
    return slice(0, -1) if pictures_come_first(demonstration) else slice(first_action(demonstration), None)


def first_frame(demonstration: h5py.Group) -> int:
    """Which of the stored pictures is the episode's first; -1: it stands by itself."""
    return -1 if is_ours(demonstration) else 0


def turned(frames: np.ndarray) -> np.ndarray:
    """Pictures [..., H, W, 3] between upright (memory) and upside down (disk): half a turn, its own inverse."""
    return frames[..., ::-1, ::-1, :]


def action_defects(name: str, actions: np.ndarray) -> list[str]:
    """What is wrong with the values of actions [T, 7], one message a defect."""
    finite = np.isfinite(actions).all(axis=1)
    if not finite.all():
        return [f"{name} hold NaN or infinity, first at step {finite.argmin()}"]
    if np.abs(actions).max(initial=0) > 1 + 1e-6:
        step = np.abs(actions).max(axis=1).argmax()
        return [f"{name} reach {np.abs(actions[step]).max():.3g} at step {step}, outside [-1, 1]"]
    return []


def latched(success: np.ndarray) -> np.ndarray:
    """bool [T]: once true, true to the end."""
    return np.maximum.accumulate(success.astype(bool))
