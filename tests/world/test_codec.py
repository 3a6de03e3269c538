"""The codec: geometry, what it learns, what it refuses, what it keeps."""

import numpy as np
import pytest
import torch

from wovr_lab.errors import UserError
from wovr_lab.pixels import to_float, to_uint8
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.world.codec import CodecLoss, FrameGroupCodec


@pytest.fixture
def groups(frame_table) -> np.ndarray:
    return frame_table.groups(np.arange(0, len(frame_table.frames), 3))


def error(one: np.ndarray, two: np.ndarray) -> float:
    return float(((one.astype(float) - two.astype(float)) ** 2).mean())


@pytest.mark.parametrize(("size", "stride", "side"), [(32, 4, 8), (64, 8, 8), (32, 8, 4)])
def test_four_frames_become_one_latent_and_four_frames_again(size, stride, side):
    codec = FrameGroupCodec(size, stride, latent_channels=6, width=16, blocks=1)
    latents = codec.encode(np.zeros((2, 4, size, size, 3), np.uint8))
    assert latents.shape == (2, 6, side, side) == (2, *codec.latent_shape)
    frames = codec.decode(latents)
    assert frames.shape == (2, 4, size, size, 3) and frames.dtype == np.uint8


def test_an_untrained_codec_decodes_the_background(frame_table):
    codec = FrameGroupCodec(width=16, latent_channels=4)
    codec.background.copy_(frame_table.background(np.random.default_rng(0)))
    frames = codec.decode(torch.zeros(2, *codec.latent_shape))
    assert (frames == to_uint8(codec.background)).all()


def test_a_briefly_trained_codec_beats_the_background_alone(trained_codec, groups):
    decoded = trained_codec.decode(trained_codec.encode(groups))
    background = np.broadcast_to(to_uint8(trained_codec.background), groups.shape)
    assert error(decoded, groups) < 0.7 * error(background, groups)


def test_the_background_is_the_median_frame(trained_codec, frame_table):
    static = frame_table.frames[:, 1, 1]  # a corner of the table, where nothing ever moves
    assert error(to_uint8(trained_codec.background)[1, 1], np.median(static, 0)) < 4


def test_latents_of_the_data_have_mean_0_and_deviation_1_in_every_channel(frame_table):
    codec = FrameGroupCodec(width=16, latent_channels=4)
    groups = frame_table.groups(np.arange(0, 60))
    torch.nn.init.normal_(codec.project.weight)
    codec.normalise(groups)
    latents = codec.encode(groups)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    raw = codec.encode_pictures(to_float(groups)).detach()
    torch.testing.assert_close(latents * codec.latent_std + codec.latent_mean, raw, atol=1e-4, rtol=1e-4)


def test_a_training_step_reaches_encoder_and_decoder(groups):
    codec = FrameGroupCodec(width=16, latent_channels=4)
    for half in (codec.autoencoder.encoder, codec.autoencoder.decoder):
        torch.nn.init.normal_(half.layers[-1].weight, std=0.1)
    batch = {"frames": torch.as_tensor(groups[:4]), "noise": torch.zeros(4, *codec.latent_shape)}
    loss, values = CodecLoss(codec)(batch)
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in codec.parameters())
    assert values["psnr"] > 0 and values["l1"] > 0


def test_untrained_components_explain_what_as_many_singular_values_do(frame_table, groups):
    codec = FrameGroupCodec(width=16, latent_channels=24)
    codec.background.copy_(frame_table.background(np.random.default_rng(0)))
    codec.project_onto_components(groups, torch.Generator().manual_seed(0))
    pictures = to_float(groups)
    raw = codec.encode_pictures(pictures).detach()
    found = ((codec.decode_pictures(raw) - pictures) ** 2).sum()
    changes = (pictures - codec.background).reshape(-1, 4, 3, 8, 4, 8, 4)
    cells = changes.permute(0, 3, 5, 1, 2, 4, 6).reshape(-1, 192)  # one row a cell of 4 frames, 3 colours, 4 x 4 pixels
    left_out = torch.linalg.svdvals(cells)[24:].square().sum()
    torch.testing.assert_close(found, left_out, rtol=1e-2, atol=1e-2)
    assert raw.std() == pytest.approx(1, abs=0.1)
    spread = raw.std((0, 2, 3))
    assert spread.max() < 4 * spread.min()  # every channel carries a part, unlike bare components


@pytest.mark.parametrize("shape", [(2, 4, 16, 16, 3), (2, 3, 32, 32, 3), (4, 32, 32, 3), (2, 4, 32, 32, 1)])
def test_frames_of_another_size_are_refused(trained_codec, shape):
    with pytest.raises(UserError, match="this codec takes groups"):
        trained_codec.encode(np.zeros(shape, np.uint8))


def test_a_stride_that_does_not_divide_the_picture_is_refused():
    with pytest.raises(UserError, match="does not divide"):
        FrameGroupCodec(32, spatial_stride=5)


def test_a_saved_codec_comes_back_bit_equal(trained_codec, groups, tmp_path):
    trained_codec.save(tmp_path / "codec")
    loaded = FrameGroupCodec.load(tmp_path / "codec")
    assert not loaded.training
    assert all(loaded.config[name] == trained_codec.config[name] for name in ("resolution", "width", "latent_channels"))
    for name, value in trained_codec.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    latents = trained_codec.encode(groups[:5])
    assert torch.equal(loaded.encode(groups[:5]), latents)
    assert (loaded.decode(latents) == trained_codec.decode(latents)).all()


def test_a_folder_without_a_whole_codec_of_this_kind_is_refused(trained_codec, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        FrameGroupCodec.load(tmp_path / "nothing")
    trained_codec.save(tmp_path / "cut")
    weights = next((tmp_path / "cut").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    trained_codec.save(tmp_path / "edited")
    config = tmp_path / "edited" / "config.json"
    config.write_text(config.read_text().replace('"width": 32', '"width": 16'))
    trained_codec.save(tmp_path / "without weights")
    next((tmp_path / "without weights").glob("*.safetensors")).unlink()
    SuccessClassifier(["push"]).save(tmp_path / "reward")
    for name in ("cut", "edited", "without weights", "reward"):
        with pytest.raises(UserError, match="no usable FrameGroupCodec"):
            FrameGroupCodec.load(tmp_path / name)


def test_weights_are_never_read_from_a_pickle(trained_codec, tmp_path):
    trained_codec.save(tmp_path / "codec")
    next((tmp_path / "codec").glob("*.safetensors")).unlink()
    torch.save(trained_codec.state_dict(), tmp_path / "codec" / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match="no usable FrameGroupCodec"):
        FrameGroupCodec.load(tmp_path / "codec")
