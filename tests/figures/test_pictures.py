import av
import numpy as np
import pytest
from PIL import Image

from wovr_lab.errors import UserError
from wovr_lab.figures.pictures import GAP, save_gif, save_picture, save_video, side_by_side, strip


def decoded(path):
    with av.open(str(path)) as film:
        return film.streams.video[0], [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_a_strip_enlarges_every_frame_and_leaves_a_short_row_white(frames):
    picture = strip([frames, frames[:2]], scale=2)
    assert picture.shape == (2 * 66 + GAP, 6 * (62 + GAP) - GAP, 3)
    assert (picture[0:66:2, 62 + GAP : 2 * 62 + GAP : 2] == frames[1]).all()
    below = picture[66 + GAP :]
    assert (below[:, :62:2][1::2] == frames[0]).all()
    assert (below[:, 2 * (62 + GAP) :] == 255).all()


def test_a_saved_picture_is_exact(tmp_path, frames):
    save_picture(tmp_path / "strip.png", strip([frames], scale=1))
    with Image.open(tmp_path / "strip.png") as picture:
        assert (np.asarray(picture) == strip([frames], scale=1)).all()


def test_side_by_side_ends_with_the_absolute_difference_and_holds_the_shorter_film(frames):
    beside = side_by_side(frames, frames[:3])
    assert beside.shape == (6, 33, 3 * 31 + 2 * GAP, 3)
    difference = beside[:, :, 2 * (31 + GAP) :]
    assert not difference[:3].any()
    assert (difference[5] == np.abs(frames[5].astype(int) - frames[2])).all()
    assert (beside[5, :, 31 + GAP : 2 * 31 + GAP] == frames[2]).all()


def test_a_video_opens_with_all_its_frames_its_speed_and_even_sizes(tmp_path, frames):
    save_video(tmp_path / "film.mp4", frames, frames_per_second=12.5, scale=3)
    stream, shown = decoded(tmp_path / "film.mp4")
    assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
    assert float(stream.average_rate) == pytest.approx(12.5)
    assert len(shown) == 6 and shown[0].shape == (100, 94, 3)
    expected = frames[5].repeat(3, 0).repeat(3, 1)
    assert np.abs(shown[5][:99, :93].astype(int) - expected).mean() < 6


def test_a_gif_opens_with_all_its_frames(tmp_path, frames):
    save_gif(tmp_path / "film.gif", frames, frames_per_second=10, scale=2)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 6 and film.size == (62, 66) and film.info["duration"] == 100


def test_nothing_is_left_over_beside_what_was_written(tmp_path, frames):
    save_video(tmp_path / "a.mp4", frames)
    save_gif(tmp_path / "b.gif", frames)
    save_picture(tmp_path / "c.png", frames[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.gif", "c.png"]


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 4, 4, 3)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)]
)
def test_other_frames_are_refused_and_an_older_film_stays(tmp_path, frames, bad):
    save_video(tmp_path / "film.mp4", frames)
    before = (tmp_path / "film.mp4").read_bytes()
    for refused in (
        lambda: save_video(tmp_path / "film.mp4", bad),
        lambda: strip([bad]),
        lambda: side_by_side(bad, bad),
    ):
        with pytest.raises(UserError, match="uint8"):
            refused()
    assert (tmp_path / "film.mp4").read_bytes() == before


def test_frames_of_different_sizes_are_refused_side_by_side_and_in_a_strip(frames):
    with pytest.raises(UserError, match="one size"):
        strip([frames, frames[:, :20]])
    with pytest.raises(UserError, match="one size"):
        side_by_side(frames, frames[:, :20])
