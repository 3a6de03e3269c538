"""The paper's networks load from files by their own names; numbers are named after what made them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from wovr_lab.errors import UserError
from wovr_lab.measure.video.feature_networks import HOW_TO_GET, PaperFeatures, ShippedFeatures, load_weights
from wovr_lab.measure.video.networks import I3D, AlexNet, Inception
from wovr_lab.runs import save_tensors

NETWORKS = {"alexnet": AlexNet, "inception": Inception, "i3d": I3D}


def untrained(name: str, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name]().eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A folder with files of every network, as the messages say how to make them; untrained weights."""
    folder = tmp_path_factory.mktemp("weights")
    for name in NETWORKS:
        tensors = untrained(name).state_dict()  # published files lack these counters
        tensors = {key: value for key, value in tensors.items() if not key.endswith("num_batches_tracked")}
        save_tensors(folder / f"{name}.safetensors", tensors)
    return folder


@pytest.mark.parametrize(
    ("name", "parameters", "tensor"),
    [
        ("alexnet", 2_469_696, "10.bias"),  # torchvision's 61,100,840 less its classifier's 58,631,144
        ("inception", 21_785_568 + 2049 * 1008, "Mixed_7c.branch3x3dbl_3b.bn.running_var"),
        ("i3d", 12_697_264, "Mixed_4f.b2b.conv3d.weight"),
    ],
)
def test_the_networks_have_the_published_sizes_and_tensor_names(name, parameters, tensor):
    network = NETWORKS[name]()
    assert sum(value.numel() for value in network.parameters()) == parameters and tensor in network.state_dict()


def test_the_papers_networks_give_lpips_fid_and_fvd_features_from_files(weights, make_videos):
    networks = PaperFeatures(str(weights))
    assert networks.names == ("lpips", "fid", "fvd") and set(NETWORKS) == set(HOW_TO_GET)
    assert re.findall(r"(\w+)\.safetensors [0-9a-f]{12}", networks.source) == list(NETWORKS)
    frames, clips = make_videos(2)[:, 0], make_videos(1, 16)
    layers = networks.layers(frames)
    assert [layer.shape[1] for layer in layers] == [head.shape[1] for head in networks.heads]
    assert all((head >= 0).all() for head in networks.heads)  # LPIPS's are trained to be
    assert networks.features(frames, layers).shape == (2, 2048) and networks.clips(clips).shape == (1, 400)
    expected = untrained("alexnet")[0](yardsticks_scaled(frames))
    assert torch.allclose(layers[0], expected.relu(), atol=1e-5)


def yardsticks_scaled(frames: np.ndarray) -> torch.Tensor:
    """Enlarged to 64 pixels, then LPIPS's shift and scale, from its paper's code."""
    pictures = torch.as_tensor(frames).movedim(-1, 1) / 127.5 - 1
    pictures = nn.functional.interpolate(pictures, size=64, mode="bilinear")
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    return (pictures - shift.view(3, 1, 1)) / scale.view(3, 1, 1)


def test_a_missing_file_is_named_with_where_it_was_looked_for_and_how_to_get_it(tmp_path):
    message = rf"alexnet.safetensors is neither in the folder {tmp_path} nor in a hub .* torchvision.models.alexnet"
    with pytest.raises(UserError, match=message):
        PaperFeatures(str(tmp_path))


def test_a_file_of_another_network_or_with_nan_is_refused(tmp_path, weights):
    save_tensors(tmp_path / "alexnet.safetensors", {"0.weight": torch.zeros(3)})
    with pytest.raises(UserError, match="holds another architecture than AlexNet"):
        load_weights(AlexNet(), str(tmp_path), "alexnet")
    save_tensors(
        tmp_path / "alexnet.safetensors", {key: value * torch.nan for key, value in AlexNet().state_dict().items()}
    )
    with pytest.raises(UserError, match="holds NaN or infinity"):
        load_weights(AlexNet(), str(tmp_path), "alexnet")


def test_shipped_features_are_pretrained_and_never_called_lpips_fid_or_fvd(make_videos):
    networks = ShippedFeatures()
    assert all("efficientnet" in name for name in networks.names)
    assert not {"lpips", "fid", "fvd"} & {part for name in networks.names for part in name.split("_")}
    frames = make_videos(2)[:, 0]
    layers = networks.layers(frames)
    assert [layer.shape[1] for layer in layers] == [16, 24, 40, 112]
    assert networks.features(frames, layers).shape == (2, 112) and networks.clips(make_videos(3, 16)).shape == (
        3,
        80,
    )
    still = np.repeat(make_videos(1, 1), 16, 1)
    assert (networks.clips(still)[:, 40:] == 0).all()  # nothing changes in it
