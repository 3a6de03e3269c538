"""OpenVLA-OFT: the published sizes without storage, a small checkpoint in the published layout, tokens, prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from wovr_lab.errors import UserError
from wovr_lab.policy.openvla import EMPTY, REGISTERS, SIDE, OpenVLAConfig, OpenVLAPolicy, Tower, seen, values
from wovr_lab.policy.openvla_checkpoint import NEW, TOWERS, Unnormaliser, load_config, load_openvla
from wovr_lab.policy.openvla_keys import renamed
from wovr_lab.published import gpu_memory_of
from wovr_lab.runs import write_json

LANGUAGE = {"vocab_size": 32064, "pad_token_id": 32000}
SMALL = OpenVLAConfig(
    dino=Tower(32, 3, 2, 128), siglip=Tower(24, 3, 2, 40), side=42,
    language=LANGUAGE | {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2,
    },
)  # fmt: skip
WORDS = "<s> </s> In : What action should the robot take to Out pick up milk red bowl put it on and"
FRAMES = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3)).astype(np.uint8)


def tower_shapes(tower: Tower, side: int, is_dino: bool) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a timm vision transformer as the published checkpoint has them."""
    width, inner = tower.width, tower.inner
    shapes = {
        "pos_embed": (1, (side // 14) ** 2, width), "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,), "norm.weight": (width,), "norm.bias": (width,),
    }  # fmt: skip
    extra = {"cls_token": (1, 1, width), "reg_token": (1, REGISTERS, width)} if is_dino else {
        "attn_pool.latent": (1, 1, width), "attn_pool.q.weight": (width, width),
    }  # fmt: skip
    layers = {
        "norm1": (width,), "norm2": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width),
        "mlp.fc1": (inner, width), "mlp.fc2": (width, inner),
    }  # fmt: skip
    for layer in range(tower.layers):
        for name, shape in layers.items():
            shapes[f"blocks.{layer}.{name}.weight"], shapes[f"blocks.{layer}.{name}.bias"] = shape, shape[:1]
        if is_dino:
            shapes |= {f"blocks.{layer}.ls{number}.scale_factor": (width,) for number in (1, 2)}
    return shapes | extra


def published_shapes(config: OpenVLAConfig) -> dict[str, tuple[int, ...]]:
    """Everything in a published checkpoint of these sizes."""
    with torch.device("meta"):
        policy = OpenVLAPolicy(config)
    own = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
    shapes = {
        name.replace("language.", "language_model.", 1): own[name] for name in own if name.startswith("language.")
    }
    shapes |= {name: own[name] for name in own if name.startswith("projector.")}
    for prefix, tower, is_dino in (("featurizer", config.dino, True), ("fused_featurizer", config.siglip, False)):
        found = tower_shapes(tower, config.side, is_dino)
        shapes |= {f"vision_backbone.{prefix}.{name}": shape for name, shape in found.items()}
    return shapes


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: 0.3 * torch.randn(shape, generator=generator) for name, shape in published_shapes(SMALL).items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, published: dict[str, Tensor]) -> Path:
    """A small random checkpoint, in two files as large ones are."""
    folder, names = tmp_path_factory.mktemp("openvla"), sorted(published)
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        tensors = {name: published[name].clone() for name in part}
        save_file(tensors, folder / f"model-0000{number}-of-00002.safetensors")
    words = [*WORDS.split(), "?"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, "</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def policy(folder: Path) -> OpenVLAPolicy:
    return load_openvla(folder, SMALL, torch.float32)


def test_the_published_sizes_have_seven_and_a_half_billion_parameters_under_the_published_names():
    with torch.device("meta"):
        policy = OpenVLAPolicy(OpenVLAConfig())
        tensors = {name: torch.empty(shape) for name, shape in published_shapes(OpenVLAConfig()).items()}
    here = {name: value.shape for there, tensor in tensors.items() for name, value in renamed(there, tensor).items()}
    assert here == {name: tensor.shape for name, tensor in policy.state_dict().items() if not name.startswith(NEW)}
    memory = gpu_memory_of(policy)
    assert 7.4e9 < memory.parameters < 7.6e9
    assert round(memory.inference) == 15 and round(memory.training) == 120
    assert policy.patches(torch.empty(2, 256, 256, 3, dtype=torch.uint8, device="meta")).shape == (2, 256, 4096)


def timm_features(
    weights: dict[str, Tensor], tower: str, pictures: Tensor, heads: int, layers: int, prefix: int
) -> Tensor:  # fmt: skip
    """What timm's get_intermediate_layers gives for the last but one block, written out."""
    own = {name.removeprefix(f"vision_backbone.{tower}."): weights[name] for name in weights}

    def linear(name: str, x: Tensor) -> Tensor:
        return F.linear(x, own[f"{name}.weight"], own[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], 1e-6)

    x = F.conv2d(pictures, own["patch_embed.proj.weight"], own["patch_embed.proj.bias"], stride=14)
    x = x.flatten(2).transpose(1, 2) + own["pos_embed"]
    if prefix:
        first = [own[name].expand(len(x), -1, -1) for name in ("cls_token", "reg_token")]
        x = torch.cat([*first, x], 1)
    for layer in range(layers - 1):
        block = f"blocks.{layer}."
        scales = [own.get(f"{block}ls{number}.scale_factor", torch.ones(())) for number in (1, 2)]
        parts = linear(f"{block}attn.qkv", norm(f"{block}norm1", x)).unflatten(-1, (3, heads, -1))
        attended = F.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4))
        x = x + scales[0] * linear(f"{block}attn.proj", attended.transpose(1, 2).flatten(2))
        inner = F.gelu(linear(f"{block}mlp.fc1", norm(f"{block}norm2", x)))
        x = x + scales[1] * linear(f"{block}mlp.fc2", inner)
    return x[:, prefix:]


def test_pictures_become_the_patches_that_the_published_towers_give(policy, published):
    pictures = seen(torch.as_tensor(FRAMES).movedim(-1, 1) / 127.5 - 1, 42)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    colours = ((pictures + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    dino = timm_features(published, "featurizer", colours, 2, 3, 1 + REGISTERS)
    siglip = timm_features(published, "fused_featurizer", pictures, 2, 3, 0)
    expected = policy.projector(torch.cat([dino, siglip], 2))
    assert torch.allclose(policy.patches(FRAMES), expected, atol=1e-4)


def test_a_chunk_is_decoded_at_once_and_a_padded_prompt_is_read_like_one_alone(policy):
    instructions = ("pick up the milk", "put it on the red bowl and the milk")
    logits = policy.logits({"frame": FRAMES}, instructions)
    assert logits.shape == (2, 8, 7, 256)
    for row, instruction in enumerate(instructions):
        alone = policy.logits({"frame": FRAMES[row : row + 1]}, (instruction,))
        assert torch.allclose(logits[row], alone[0], atol=1e-4)
    words, mask = policy.words(instructions)
    assert words[0][mask[0]][[0, -1]].tolist() == [0, EMPTY] and not mask[0].all() and mask[1].all()


def test_values_are_read_from_the_place_before_and_from_the_last_words(policy):
    words, mask = policy.words(("pick up the milk",))
    text, patches = policy.language.get_input_embeddings()(words), policy.patches(FRAMES[:1])
    stop = policy.language.get_input_embeddings()(torch.tensor([[2]]))
    sequence = torch.cat([text[:, :1], patches, text[:, 1:], torch.zeros(1, 56, 16), stop], 1)
    everything = torch.ones(1, 1, sequence.shape[1], sequence.shape[1], dtype=torch.bool)
    hidden = policy.language.model(inputs_embeds=sequence, attention_mask=everything).last_hidden_state
    expected = policy.language.lm_head(hidden)[0, -58:-2]  # from the last word on; less the last place and the stop
    logits = policy(FRAMES[:1], words, mask)[0].flatten(0, 1)
    assert torch.allclose(logits[:, 0], expected[:, 31999], atol=1e-4)
    assert torch.allclose(logits[:, 255], expected[:, 31744], atol=1e-4)


def test_sampled_chunks_report_the_log_probabilities_that_log_prob_gives(policy):
    observation, instructions = {"frame": FRAMES}, ("pick up the milk", "put it on")
    chunk = policy.act(observation, instructions, torch.Generator().manual_seed(3), 1.6)
    again = policy.log_prob(observation, instructions, chunk.tokens, 1.6)
    assert torch.allclose(chunk.log_probs, again, atol=1e-4) and again.requires_grad
    assert np.array_equal(chunk.actions, values(chunk.tokens).numpy())
    greedy = policy.act(observation, instructions, torch.Generator(), 0.0)
    assert greedy.log_probs is None and np.abs(greedy.actions).max() < 1


def test_tokens_mean_the_middles_of_255_equal_parts():
    assert torch.allclose(values(torch.tensor([0, 127, 254, 255])), torch.tensor([-254.0, 0.0, 254.0, 254.0]) / 255)


def test_actions_are_scaled_by_the_statistics_of_their_data_and_grippers_turned_round():
    described = {"norm_stats": {"libero": {"action": {
        "q01": [-0.5] * 6 + [0.0], "q99": [0.5] * 6 + [1.0], "mask": [True] * 6 + [False],
    }}}}  # fmt: skip
    unnormalise = Unnormaliser.of(described, "libero")
    actions = unnormalise(np.array([[1.0, -1.0, 0.0, 0.5, 0, 0, 0.9], [0.0] * 6 + [0.1]]))
    assert np.allclose(actions, [[0.5, -0.5, 0, 0.25, 0, 0, -1], [0, 0, 0, 0, 0, 0, 1]], atol=1e-6)
    with pytest.raises(UserError, match="it knows libero"):
        Unnormaliser.of(described, "bridge")


def test_folders_that_are_not_whole_or_of_another_model_are_refused(tmp_path: Path, folder, published):
    described = {
        "timm_model_ids": TOWERS, "use_fused_vision_backbone": True, "n_action_bins": 256, "pad_to_multiple_of": 64,
        "image_sizes": [SIDE, SIDE], "text_config": LANGUAGE,
    }  # fmt: skip
    assert load_config(described, folder) == OpenVLAConfig()
    with pytest.raises(UserError, match="n_action_bins is 1024"):
        load_config(described | {"n_action_bins": 1024}, folder)
    write_json(tmp_path / "config.json", {})
    with pytest.raises(UserError, match="timm_model_ids is None"):
        load_openvla(tmp_path)
    with pytest.raises(UserError, match=r"holds no tokenizer\.json"):
        load_openvla(tmp_path, SMALL)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(UserError, match=r"holds no \.safetensors"):
        load_openvla(tmp_path, SMALL)
    path = tmp_path / "model.safetensors"
    save_file({name: tensor for name, tensor in published.items() if "lm_head" not in name}, path)
    with pytest.raises(UserError, match=r"1 tensors are missing, e\.g\. language\.lm_head"):
        load_openvla(tmp_path, SMALL)
    save_file({"projector.fc1.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(UserError, match=r"projector\.fc1\.weight \(3, 3\) does not fit"):
        load_openvla(tmp_path, SMALL)
    save_file({"action_head.fc1.weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"has no tensor 'action_head\.fc1\.weight'"):
        load_openvla(tmp_path, SMALL)
