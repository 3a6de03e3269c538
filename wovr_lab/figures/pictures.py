"""Pictures and films of episodes, real and imagined. In: uint8 frames [T, H, W, 3]. Out: uint8 pictures, PNG, MP4, GIF.

Enlarged by whole factors without smoothing, so that one sees what the models see. Files appear whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from wovr_lab.errors import UserError
from wovr_lab.outputs import OUR_PICTURE, replacing

GAP = 2  # white pixels between pictures
MARGIN, LINE = 8, 22  # around the names of rows, and above for those of columns


def strip(rows: Sequence[np.ndarray], scale: int = 2) -> np.ndarray:
    """Rows of frames, uint8 [T, H, W, 3] each, as one picture uint8 [H', W', 3]; shorter rows end in white.

    Raises UserError if frames are of another kind or of different sizes, or if there are none.
    """
    if not rows:
        raise UserError("a strip needs at least one row of frames")
    length = max(len(frames) for frames in rows)
    enlarged = [enlarge(frames, scale) for frames in rows]
    if len({frames.shape[1:] for frames in enlarged}) > 1:
        raise UserError(f"rows of a strip must have frames of one size, not {[f.shape[1:] for f in enlarged]}")
    height, width = enlarged[0].shape[1:3]
    picture = np.full((len(rows) * (height + GAP) - GAP, length * (width + GAP) - GAP, 3), 255, np.uint8)
    for row, frames in enumerate(enlarged):
        for column, frame in enumerate(frames):
            top, left = row * (height + GAP), column * (width + GAP)
            picture[top : top + height, left : left + width] = frame
    return picture


def named_strip(rows: Mapping[str, np.ndarray], columns: Sequence[str], scale: int = 2) -> np.ndarray:
    """`strip` with the rows' names at the left and the columns' above, none if none are given: uint8 [H', W', 3].

    Raises UserError as `strip` does.
    """
    films, font = strip(list(rows.values()), scale), ImageFont.load_default(12)
    left = MARGIN + max(int(font.getlength(_readable(name))) for name in rows) + MARGIN
    top = LINE if columns else 0
    canvas = Image.new("RGB", (films.shape[1] + left, films.shape[0] + top), "white")
    canvas.paste(Image.fromarray(films), (left, top))
    pen = ImageDraw.Draw(canvas)
    height, width = (films.shape[0] + GAP) / len(rows), (films.shape[1] + GAP) / max(len(columns), 1)
    for row, name in enumerate(rows):
        pen.text((MARGIN, top + (row + 0.5) * height), _readable(name), "black", font, anchor="lm")
    for column, name in enumerate(columns):
        pen.text((left + (column + 0.5) * width, LINE / 2), name, "black", font, anchor="mm")
    return np.asarray(canvas)


def _readable(name: str) -> str:
    return name.replace("_", " ")


def side_by_side(real: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """real | imagined | absolute difference, uint8 [T, H, 3 W + gaps, 3]; the shorter film holds its last frame.

    Raises UserError if frames are of another kind or of different sizes.
    """
    check_frames(real)
    check_frames(imagined)
    if real.shape[1:] != imagined.shape[1:]:
        raise UserError(f"frames side by side must have one size, not {real.shape[1:]} and {imagined.shape[1:]}")
    times = np.arange(max(len(real), len(imagined)))
    left, right = (frames[np.minimum(times, len(frames) - 1)] for frames in (real, imagined))
    difference = np.abs(left.astype(np.int16) - right).astype(np.uint8)
    gap = np.full((len(times), real.shape[1], GAP, 3), 255, np.uint8)
    return np.concatenate([left, gap, right, gap, difference], axis=2)


def enlarge(frames: np.ndarray, scale: int) -> np.ndarray:
    """uint8 [T, H, W, 3] -> [T, scale H, scale W, 3]: each pixel becomes a square. Raises UserError on other frames."""
    check_frames(frames)
    if scale < 1:
        raise UserError(f"pictures are enlarged by a whole factor from 1, not by {scale}")
    return frames.repeat(scale, axis=1).repeat(scale, axis=2)


def check_frames(frames: np.ndarray) -> None:
    """Raises UserError unless these are uint8 [T, H, W, 3] with T >= 1."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise UserError(f"frames must be uint8 [T, H, W, 3] with T >= 1, these are {frames.dtype} {frames.shape}")


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a picture uint8 [H, W, 3] as PNG, exactly. Raises UserError on another kind or if it cannot be written."""
    check_frames(picture[None])
    told = PngInfo()
    told.add_text("Software", OUR_PICTURE)
    with replacing(path) as partial:
        Image.fromarray(picture).save(partial, format="PNG", pnginfo=told)


def save_video(path: Path, frames: np.ndarray, frames_per_second: float = 10, scale: int = 1) -> None:
    """Writes frames uint8 [T, H, W, 3] as H.264 MP4 that browsers play; odd sizes gain a row or a column.

    Raises UserError on other frames or if it cannot be written.
    """
    enlarged = enlarge(frames, scale)
    odd = [(0, 0), *((0, size % 2) for size in enlarged.shape[1:3]), (0, 0)]
    enlarged = np.pad(enlarged, odd, mode="edge")
    options = {"movflags": "faststart"}  # so that it plays before it has loaded
    with replacing(path) as partial, av.open(str(partial), "w", format="mp4", options=options) as film:
        stream = film.add_stream("libx264", rate=Fraction(frames_per_second).limit_denominator(1000))
        stream.height, stream.width = enlarged.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "fast", "threads": "1"}
        for frame in enlarged:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())


def save_gif(path: Path, frames: np.ndarray, frames_per_second: float = 10, scale: int = 1) -> None:
    """Writes frames uint8 [T, H, W, 3] as a GIF that repeats. Raises UserError as `save_video` does."""
    first, *rest = [Image.fromarray(frame) for frame in enlarge(frames, scale)]
    duration = round(1000 / frames_per_second)
    with replacing(path) as partial:
        first.save(partial, format="GIF", save_all=True, append_images=rest, duration=duration, loop=0)
