"""Wan2.2-TI2V-5B: the published sizes without storage, and small checkpoints in the published layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import load_file, save_file

from wovr_lab.errors import UserError
from wovr_lab.published import GpuMemory, gpu_memory_of
from wovr_lab.world.transformer import ActionWanTransformer
from wovr_lab.world.wan import NEW, TEXT, TI2V_5B, VAE_2_2, WINDOW, WanWindows, load_wan

SMALL = TI2V_5B | {
    "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 6, "out_channels": 6, "freq_dim": 16,
    "ffn_dim": 32, "num_layers": 2, "rope_max_seq_len": 32,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small random transformer, saved by diffusers itself in several files."""
    torch.manual_seed(0)
    WanTransformer3DModel(text_dim=20, **SMALL).save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    return tmp_path


def test_the_published_sizes_have_five_billion_parameters_and_differ_in_what_hears_actions_alone():
    with torch.device("meta"):
        theirs = WanTransformer3DModel(text_dim=4096, **TI2V_5B)
        ours = ActionWanTransformer(**TI2V_5B)
    there = {name: tensor.shape for name, tensor in theirs.state_dict().items() if not name.startswith(TEXT)}
    here = {name: tensor.shape for name, tensor in ours.state_dict().items() if not name.startswith(NEW)}
    assert here == there
    memory = gpu_memory_of(ours)
    assert 4.9e9 < memory.parameters < 5.1e9
    assert round(memory.inference) == 10 and round(memory.training) == 80


def test_a_window_of_the_paper_has_four_latents_of_256_pixels_at_stride_16_and_64_tokens_each():
    with torch.device("meta"):
        windows = WanWindows(AutoencoderKLWan(**VAE_2_2))
        transformer = ActionWanTransformer(**TI2V_5B)
        latents = windows.encode(torch.empty(1, WINDOW, 256, 256, 3, dtype=torch.uint8))
        assert latents.shape == (1, 48, 4, 16, 16)
        times = torch.zeros(1, 4 * 64)
        answer = transformer(latents, times, torch.empty(1, WINDOW, 7), return_dict=False)[0]
    assert answer.shape == latents.shape


def test_memory_is_two_bytes_a_parameter_to_run_and_sixteen_to_train():
    assert (GpuMemory(10**9).inference, GpuMemory(10**9).training) == (2.0, 16.0)


def test_published_weights_arrive_and_channel_a_starts_silent(folder: Path):
    model = load_wan(folder, torch.float32)
    theirs = WanTransformer3DModel.from_pretrained(folder).state_dict()
    ours = model.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items() if not name.startswith(TEXT))
    assert not ours["condition_embedder.modulation.2.weight"].any()
    assert all(tensor.device.type == "cpu" for tensor in (*model.parameters(), *model.buffers()))
    built = ActionWanTransformer(**SMALL)
    assert torch.equal(model.rope.freqs_cos, built.rope.freqs_cos)
    latents, times = torch.randn(1, 6, 4, 4, 4), torch.zeros(1, 16)
    answers = [model(latents, times, actions, return_dict=False)[0] for actions in torch.randn(2, 1, WINDOW, 7)]
    assert torch.isfinite(answers[0]).all() and not torch.equal(*answers)


def test_folders_that_are_not_whole_or_of_another_model_are_refused(folder: Path):
    path = next(path for path in sorted(folder.glob("*.safetensors")) if "proj_out.weight" in load_file(path))
    tensors = load_file(path)
    save_file({name: tensor for name, tensor in tensors.items() if name != "proj_out.weight"}, path)
    with pytest.raises(UserError, match=r"1 tensors are missing, e\.g\. proj_out\.weight"):
        load_wan(folder)
    save_file(tensors | {"proj_out.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(UserError, match=r"proj_out\.weight \(2, 2\) does not fit"):
        load_wan(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="not of a Wan transformer"):
        load_wan(folder)


def test_the_vae_brings_its_own_statistics_and_gives_the_future_back(tmp_path: Path):
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=8, decoder_base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, is_residual=True,
        in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=16, latents_mean=[0.5] * 4,
        latents_std=[2.0] * 4,
    )  # fmt: skip
    vae.save_pretrained(tmp_path)
    windows = WanWindows.load(tmp_path)
    frames = torch.randint(0, 256, (1, WINDOW, 32, 32, 3), dtype=torch.uint8)
    latents = windows.encode(frames)
    assert latents.shape == (1, 4, 4, 2, 2)
    pictures = frames.movedim(-1, 1).float() / 127.5 - 1
    assert torch.allclose(latents * 2 + 0.5, vae.encode(pictures).latent_dist.mode(), atol=1e-5)
    future = windows.decode(latents)
    assert future.shape == (1, 8, 32, 32, 3) and future.dtype == torch.uint8
    with pytest.raises(UserError, match=r"sides of n x 16, not \(1, 13, 40, 32, 3\)"):
        windows.encode(torch.zeros(1, WINDOW, 40, 32, 3, dtype=torch.uint8))
    with pytest.raises(UserError, match="windows are"):
        windows.encode(frames[:, :8])
