"""Names and shapes of an OpenVLA(-OFT) checkpoint, and those of transformers' models that are built here instead.

The checkpoint keeps timm's vision transformers (DINOv2 with registers, SigLIP), each with queries, keys and values in
one matrix. In: a tensor by its name there. Out: tensors by their names in `OpenVLAPolicy`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wovr_lab.errors import UserError

DINO, SIGLIP, LANGUAGE = "vision_backbone.featurizer.", "vision_backbone.fused_featurizer.", "language_model."
UNUSED = (SIGLIP + "attn_pool.",)  # SigLIP's pooled picture; patches are used
BLOCK = {  # of a vision transformer: timm -> transformers
    "dino": {
        "norm1": "norm1", "norm2": "norm2", "attn.proj": "attention.o_proj", "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2", "ls1.scale_factor": "layer_scale1.lambda1", "ls2.scale_factor": "layer_scale2.lambda1",
    },
    "siglip": {
        "norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj", "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
    },
}  # fmt: skip
LAYERS = {"dino": "dino.encoder.layer.", "siglip": "siglip.encoder.layers."}
ATTENTION = {"dino": "attention.", "siglip": "self_attn."}
OUTSIDE = {  # of the blocks
    "dino": {
        "cls_token": "embeddings.cls_token", "reg_token": "embeddings.register_tokens",
        "patch_embed.proj": "embeddings.patch_embeddings.projection", "norm": "layernorm",
    },
    "siglip": {"patch_embed.proj": "embeddings.patch_embedding", "norm": "post_layernorm"},
}  # fmt: skip


def renamed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A checkpoint's tensor under our names. Raises UserError on a name that no OpenVLA has."""
    if name.startswith(UNUSED) or name.endswith("rotary_emb.inv_freq"):
        return {}
    if name.startswith(DINO):
        return _vision("dino", name.removeprefix(DINO), tensor)
    if name.startswith(SIGLIP):
        return _vision("siglip", name.removeprefix(SIGLIP), tensor)
    if name.startswith(LANGUAGE):
        return {f"language.{name.removeprefix(LANGUAGE)}": tensor}
    if name.startswith("projector."):
        return {name: tensor}
    raise UserError(f"an OpenVLA checkpoint has no tensor {name!r}; is this one of another model?")


def _vision(tower: str, name: str, tensor: Tensor) -> dict[str, Tensor]:
    if name == "pos_embed":
        return _positions(tower, tensor)
    if name.startswith("blocks."):
        _, index, inner = name.split(".", 2)
        return _block(tower, f"{LAYERS[tower]}{index}.", inner, tensor)
    module, kind = _split(name, OUTSIDE[tower])
    return {f"{tower}.{OUTSIDE[tower][module]}{kind}": tensor}


def _positions(tower: str, tensor: Tensor) -> dict[str, Tensor]:
    """timm's positions [1, n, d] are of patches alone; transformers' DINOv2 has one of its class token before them."""
    if tower == "siglip":
        return {"siglip.embeddings.position_embedding.weight": tensor[0]}
    none = torch.zeros_like(tensor[:, :1])
    return {"dino.embeddings.position_embeddings": torch.cat([none, tensor], 1)}


def _block(tower: str, layer: str, name: str, tensor: Tensor) -> dict[str, Tensor]:
    if name.startswith("attn.qkv."):
        kind, parts = name.removeprefix("attn.qkv."), tensor.chunk(3)
        names = [f"{layer}{ATTENTION[tower]}{part}_proj.{kind}" for part in "qkv"]
        return {key: part.clone() for key, part in zip(names, parts, strict=True)}
    module, kind = _split(name, BLOCK[tower])
    return {f"{layer}{BLOCK[tower][module]}{kind}": tensor}


def _split(name: str, known: dict[str, str]) -> tuple[str, str]:
    """A name as its module and what is left (".weight", or nothing for a parameter). Raises UserError if unknown."""
    for module in known:
        if name == module or name.removeprefix(module) in (".weight", ".bias"):
            return module, name.removeprefix(module)
    raise UserError(f"an OpenVLA checkpoint has no vision tensor {name!r}; is this one of another model?")
