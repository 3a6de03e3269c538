"""What a LeRobot data set of version 3.0 holds and how its rows line up with an `Episode`.

    meta/info.json               version, fps, what each column is ("features"), patterns of the files' names
    meta/stats.json              spread of each column over the whole set
    meta/tasks.parquet           the words of each task, by number
    meta/episodes/**.parquet     one row an episode: its words, length, files, and where it begins in them
    data/chunk-*/file-*.parquet  one row a picture: state, picture (unless it is in a video), action, success
    videos/CAMERA/chunk-*/file-*.mp4

    row         0    1    2  ...  T-1   T          f: frame, p: the robot's state, a: action, w: success after it
    observation f0   f1   f2      fT-1  fT
    action      a0   a1   a2      aT-1  (stand still)
    success     w0   w1   w2      wT-1  (as before)

LeRobot stores an action with the picture *before* it. Ours have one row more than actions, so that the last picture is
kept; its action stands still with the gripper as it was. A set that was recorded elsewhere ends with its last action,
whose outcome no picture shows. Both are read alike: every row but the last gives an action.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from wovr_lab.errors import UserError
from wovr_lab.fields import Range, configuration
from wovr_lab.runs import read_object
from wovr_lab.types import ACTION_DIM

WHAT = "LeRobot data set"
VERSION = "v3.0"
INFO, STATS, TASKS, EPISODES = "meta/info.json", "meta/stats.json", "meta/tasks.parquet", "meta/episodes"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
CHUNK = 1000  # files in a folder

CAMERA, ACTION, STATE, SUCCESS = "observation.images.agentview", "action", "observation.state", "next.success"
DONE, TIME, FRAME, EPISODE, ROW, TASK = (
    "next.done",
    "timestamp",
    "frame_index",
    "episode_index",
    "index",
    "task_index",
)
SIMULATOR, LABELS = "wovr.states", "wovr.expert_actions"  # names that LeRobot's policies take for no input of theirs
OUR_TASK, OUR_SEED = "wovr/task", "wovr/seed"  # of an episode
ACTION_NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")

Rate = Annotated[int, Range(1, 1000)]
PICTURES = ("image", "video")
LARGEST_SIDE = 4096  # pixels
LONGEST_EPISODE, MOST_ROWS = 10**5, 2**23  # rows, of an episode and of a file
PLACEHOLDER = re.compile(r"\{(\w+)(?::0?(\d)d)?\}")
CONVERTER = "python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=OWNER/NAME (of LeRobot 0.4 or newer)"


@dataclass(frozen=True)
class Camera:
    """One view of a data set."""

    name: str
    height: int
    width: int
    is_video: bool


@configuration
class SetCard:
    """What an `Episode` does not say and a set wants to know."""

    fps: Rate = 20  # actions a second; LIBERO's
    robot_type: str = "unknown"
    state_names: tuple[str, ...] = ()  # of the robot's own state, where they are known


@dataclass(frozen=True)
class SetInfo:
    """What `meta/info.json` says, as far as it is needed. Raises UserError, when read, on what cannot be used."""

    folder: Path
    fps: float
    cameras: tuple[Camera, ...]
    widths: Mapping[str, int]  # numbers in a row of each column of numbers
    data_path: str
    video_path: str

    def data_file(self, chunk: int, file: int) -> Path:
        """Where these rows are."""
        return self.folder / filled(self.data_path, chunk_index=chunk, file_index=file)

    def video_file(self, camera: str, chunk: int, file: int) -> Path:
        """Where these pictures are."""
        return self.folder / filled(self.video_path, video_key=camera, chunk_index=chunk, file_index=file)

    def camera(self, name: str | None) -> Camera:
        """The named view, or the first. Raises UserError naming all if there is none of that name."""
        named = {camera.name: camera for camera in self.cameras}
        if name is None:
            return self.cameras[0]
        if name not in named:
            raise UserError(f"{self.folder} has no camera {name!r}; it has {', '.join(named)}")
        return named[name]


def filled(pattern: str, **values: str | int) -> str:
    """A pattern such as `data/chunk-{chunk_index:03d}` with its values; nothing else of Python's formats is obeyed."""

    def value(found: re.Match[str]) -> str:
        name, digits = found.groups()
        if name not in values:
            raise UserError(
                f"the file pattern {pattern!r} asks for {name}, which no LeRobot set has; restore info.json"
            )
        return str(values[name]).zfill(int(digits or 0))

    path = PLACEHOLDER.sub(value, pattern)
    if path.startswith(("/", "\\")) or ".." in Path(path).parts or "{" in path or "\0" in path:
        raise UserError(f"the file pattern {pattern!r} leads out of the data set; restore its info.json")
    return path


def read_info(folder: Path) -> SetInfo:
    """Raises UserError if the folder is no LeRobot set, of another version, or holds no episodes such as ours."""
    path = folder / INFO
    if not path.is_file():
        raise UserError(f"{folder} holds no {INFO}, so it is no LeRobot data set; give its folder, or an HDF5 file")
    version = read_object(path, codebase_version=str)["codebase_version"]
    if version.startswith("v2"):
        raise UserError(f"{folder} is a LeRobot set of version {version}; convert it to {VERSION} first: {CONVERTER}")
    if not version.startswith("v3."):
        raise UserError(f"{folder} is a LeRobot set of version {version}; versions 3 are read")
    found = read_object(path, fps=float, features=dict, data_path=str)
    if not 0 < found["fps"] <= 1000:
        raise UserError(f"{path}: fps is {found['fps']}, not a rate between 0 and 1000; restore it")
    features = {str(name): _feature(path, name, each) for name, each in found["features"].items()}
    video_path = found.get("video_path")
    info = SetInfo(
        folder,
        found["fps"],
        tuple(_camera(path, name, each) for name, each in features.items() if each["dtype"] in PICTURES),
        {name: each["shape"][0] for name, each in features.items() if len(each["shape"]) == 1},
        found["data_path"],
        video_path if isinstance(video_path, str) else VIDEO_PATH,
    )
    _check_usable(info, features)
    return info


def _feature(path: Path, name: str, found: Any) -> dict[str, Any]:
    shape = found.get("shape") if isinstance(found, dict) else None
    if not isinstance(shape, list) or not isinstance(found.get("dtype"), str):
        raise UserError(f"{path}: feature {name!r} has no dtype and shape; restore it")
    if not all(type(size) is int and 0 < size <= 2**16 for size in shape):
        raise UserError(f"{path}: feature {name!r} has shape {shape}; restore it")
    return found


def _camera(path: Path, name: str, feature: dict[str, Any]) -> Camera:
    """Sizes are [H, W, 3] as LeRobot writes them, or [3, H, W] where the names or the sizes say so."""
    shape, names = feature["shape"], feature.get("names")
    first_is_channel = isinstance(names, list) and bool(names) and str(names[0]).startswith("channel")
    if len(shape) == 3 and (first_is_channel or shape[2] != 3):
        shape = [*shape[1:], shape[0]]
    if len(shape) != 3 or shape[2] != 3 or max(shape) > LARGEST_SIDE:
        raise UserError(f"{path}: {name!r} has shape {feature['shape']}; pictures of three colours are read")
    return Camera(name, shape[0], shape[1], feature["dtype"] == "video")


def _check_usable(info: SetInfo, features: dict[str, dict[str, Any]]) -> None:
    if not info.cameras:
        raise UserError(f"{info.folder} has no camera: none of its features is an image or a video; record one")
    action = features.get(ACTION)
    if action is None or info.widths.get(ACTION) != ACTION_DIM:
        told = f"of shape {action['shape']} ({action.get('names')})" if action else "missing"
        raise UserError(
            f"{info.folder}: its actions are {told}; {ACTION_DIM} numbers in [-1, 1] are needed, movements of the hand "
            f"({', '.join(ACTION_NAMES)}): record or convert them so"
        )
