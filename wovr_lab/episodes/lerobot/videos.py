"""Pictures in video files: written without loss, read by their times.

H.264 of RGB at quantizer 0 gives every pixel back as it was. Other encodings (AV1, H.264 of reduced colours), which
LeRobot's own recordings have, are read as FFmpeg shows them.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from wovr_lab.episodes.lerobot.schema import Camera
from wovr_lab.errors import UserError

CODEC, PIXELS = "libx264rgb", "rgb24"
OPTIONS = {"qp": "0", "g": "8"}  # exact; a picture is found from at most seven before it


class VideoFile:
    """One file that pictures are added to, at a constant rate."""

    def __init__(self, path: Path, fps: int, height: int, width: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.fps, self.frames = path, fps, 0
        self._box = av.open(str(path), "w")
        self._stream = self._box.add_stream(CODEC, rate=fps, options=OPTIONS)
        self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, PIXELS

    def add(self, frames: np.ndarray) -> float:
        """Appends uint8 [T, H, W, 3]; returns the time of the first in the file, in seconds."""
        begin = self.frames / self.fps
        for frame in frames:
            self._box.mux(self._stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), PIXELS)))
        self.frames += len(frames)
        return begin

    def close(self) -> None:
        """Writes what the encoder still holds."""
        self._box.mux(self._stream.encode())
        self._box.close()


def read_video(path: Path, camera: Camera, times: np.ndarray, fps: float) -> np.ndarray:
    """The pictures uint8 [T, H, W, 3] that are shown at these times (seconds, ascending), within half a frame.

    Raises UserError if the file is damaged, of another size, or has none at one of these times.
    """
    near = 0.5 / fps
    found: list[np.ndarray] = []
    try:
        with av.open(str(path)) as box:
            stream = box.streams.video[0]
            if stream.codec_context is None:
                raise UserError(f"{path} is of an encoding that FFmpeg does not know; fetch it again")
            if (stream.height, stream.width) != (camera.height, camera.width):
                raise UserError(f"{path} is {stream.width} x {stream.height}, not as large as info.json says")
            box.seek(max(0, int((times[0] - near) / stream.time_base)), stream=stream)
            for frame in box.decode(stream):
                if frame.time is None or frame.time < times[len(found)] - near:
                    continue
                if frame.time > times[len(found)] + near:
                    break
                found.append(frame.to_ndarray(format="rgb24"))
                if len(found) == len(times):
                    break
    except (OSError, ValueError, IndexError, av.FFmpegError) as error:
        raise UserError(f"{path} cannot be read as a video ({error}); fetch it again") from error
    if len(found) < len(times):
        raise UserError(f"{path} has no picture at {times[len(found)]:.3f} s; fetch it again")
    return np.stack(found)
