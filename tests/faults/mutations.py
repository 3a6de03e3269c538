"""Damaged and hostile files, made from whole ones: bytes flipped, cut, doubled; values and types changed by format.

In: a format, the content of a whole file, a random generator. Out: what was done to it and the new content, always the
same for the same generator.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import torch
from pickles import VALUES, change_array_header, change_opcodes, change_pickle
from safetensors.torch import load, save

Change = Callable[[bytes, np.random.Generator], bytes]
TEXTS = ("NaN", "-Infinity", "1e999", "[" * 60_000 + "]" * 60_000, '{"a":' * 30_000 + "1" + "}" * 30_000, "9" * 5000)


def mutant(kind: str, content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """One mutant of a file of this format; half of them know nothing of it."""
    changes = BYTES if rng.random() < 0.5 else FORMATS[kind]
    name = str(rng.choice(list(changes)))
    return name, changes[name](content, rng)


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bytes are others."""
    changed = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 9)):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def flip_early(content: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped near the beginning, where formats say what follows."""
    head = min(len(content), 2048)
    return flip(content[:head], rng) + content[head:]


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(len(content))]


def double(content: bytes, rng: np.random.Generator) -> bytes:
    """A part of it stands there twice."""
    begin, end = sorted(rng.integers(len(content) + 1, size=2))
    return content[:end] + content[begin:end] + content[end:]


def blank(content: bytes, rng: np.random.Generator) -> bytes:
    """A part of it is zeros, as after a crash of the system."""
    begin, end = sorted(rng.integers(len(content) + 1, size=2))
    return content[:begin] + bytes(end - begin) + content[end:]


def foreign(content: bytes, rng: np.random.Generator) -> bytes:
    """Something else altogether."""
    others = (
        b"",
        b"\0",
        b"x",
        b"PK\x03\x04" + bytes(60),
        b"\x89HDF\r\n\x1a\n" + bytes(600),
        b"\xff\xfe{\0}\0",
        b"{}",
        b"[]",
    )
    return others[rng.integers(len(others))]


def change_json(content: bytes, rng: np.random.Generator) -> bytes:
    """A value somewhere within is another, is gone, or has company."""
    found = json.loads(content)
    *path, last = _place(found, rng)
    inner = found
    for key in path:
        inner = inner[key]
    action = rng.choice(["replace", "replace", "delete", "add"])
    if action == "delete":
        del inner[last]
    elif action == "add" and isinstance(inner, dict):
        inner["another"] = _value(rng)
    else:
        inner[last] = _value(rng)
    return json.dumps(found).encode()


def change_root(content: bytes, rng: np.random.Generator) -> bytes:
    return json.dumps(_value(rng)).encode()


def change_text(content: bytes, rng: np.random.Generator) -> bytes:
    """A value is what Python's JSON takes and JSON does not, or what is nested or long beyond measure."""
    text = json.dumps(_replaced(json.loads(content), rng, "@")).replace('"@"', TEXTS[rng.integers(len(TEXTS))], 1)
    return text.encode()


def change_line(content: bytes, rng: np.random.Generator) -> bytes:
    """`change_json` of one of the lines."""
    lines = content.splitlines()
    number = int(rng.integers(len(lines)))
    change = (change_json, change_root, change_text)[rng.integers(3)]
    return b"".join(line + b"\n" for line in [*lines[:number], change(lines[number], rng), *lines[number + 1 :]])


def change_header(content: bytes, rng: np.random.Generator) -> bytes:
    """The JSON that says what a safetensors file holds."""
    length = struct.unpack("<Q", content[:8])[0]
    header = change_json(content[8 : 8 + length], rng)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def change_length(content: bytes, rng: np.random.Generator) -> bytes:
    """A length at its beginning that is not so."""
    return struct.pack("<Q", int(rng.choice([0, 1, 2**31, 2**40, 2**63 - 1, len(content)]))) + content[8:]


def change_tensor(content: bytes, rng: np.random.Generator) -> bytes:
    """A tensor is of another type or shape, holds no numbers, is gone, or has another name."""
    tensors = load(content)
    name = str(rng.choice(sorted(tensors)))
    tensor = tensors.pop(name)
    spoiled = tensor.clone().flatten().to(torch.float32)
    if spoiled.numel():
        spoiled[rng.integers(spoiled.numel())] = float(rng.choice([np.nan, np.inf, 1e38]))
    others = (
        {name: spoiled.reshape(tensor.shape)}, {name: tensor.to(torch.int64)}, {name: tensor.to(torch.float64)},
        {name: tensor.to(torch.bool)}, {name: tensor.flatten()[:0]}, {name: tensor[None]}, {name: tensor.flatten()}, {},
        {f"{name}.x": tensor}, {name: tensor, "another": torch.zeros(3)}, {"": tensor},
    )  # fmt: skip
    return save(tensors | others[rng.integers(len(others))])


def change_dataset(content: bytes, rng: np.random.Generator) -> bytes:
    """A dataset is of another type, shape or value, is a group or a link, is gone, or is declared enormous."""
    file, names = io.BytesIO(content), []
    with h5py.File(file, "r+") as opened:
        opened.visititems(lambda name, item: names.append(name))
        name = str(rng.choice(sorted(names)))
        old = opened[name][()] if isinstance(opened[name], h5py.Dataset) else np.zeros((3, 7))
        del opened[name]
        makers = list(_datasets(opened, name, old, rng))
        makers[rng.integers(len(makers))]()
    return file.getvalue()


def _datasets(file: h5py.File, name: str, old: np.ndarray, rng: np.random.Generator) -> list[Callable[[], Any]]:
    shape = np.shape(old)
    spoiled = np.array(old, np.float64)
    if spoiled.size:
        spoiled.flat[rng.integers(spoiled.size)] = rng.choice([np.nan, np.inf, -1e300, 7.0])

    def put(value: Any, **more: Any) -> Callable[[], Any]:
        return lambda: file.create_dataset(name, data=value, **more)

    def declare(size: tuple[int, ...], kind: Any) -> Callable[[], Any]:
        return lambda: file.create_dataset(name, size, kind, chunks=tuple(min(each, 64) for each in size))

    return [
        lambda: None, put(spoiled), put(np.zeros(shape, "c8")), put(old.astype("i8")), put(old.astype(">f4")),
        put(old.astype("f2")), put(np.full(shape, b"x", "S3")), put("text"), put(["a", "b"]), put(h5py.Empty("f4")),
        put(old[:0] if shape else old), put(old[None]), put(old.reshape(-1)), put(old[:-1] if shape else old),
        put(np.zeros(4, [("a", "f4"), ("b", "u1")])), put(np.zeros(3, "V9")), lambda: file.create_group(name),
        declare((2**20, 2**20), "f4"), declare((len(old) if shape else 3, 2**13, 2**13, 3), "u1"),
        lambda: file.create_dataset(name, (3,), h5py.vlen_dtype(np.uint8)),
        lambda: file.__setitem__(name, h5py.SoftLink("/data")),
        lambda: file.__setitem__(name, h5py.SoftLink("/nowhere")),
        lambda: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/data")),
        lambda: file.__setitem__(name, np.dtype("f4")), lambda: file.__setitem__(name, file["data"]),
        put(old, compression="gzip") if shape else put(old),
    ]  # fmt: skip


def change_attribute(content: bytes, rng: np.random.Generator) -> bytes:
    """An attribute is another or is gone."""
    file, places = io.BytesIO(content), []
    with h5py.File(file, "r+") as opened:
        opened.visititems(lambda name, item: places.extend((name, each) for each in item.attrs))
        name, attribute = places[rng.integers(len(places))]
        values = (
            "x",
            "",
            1.5,
            -1,
            2**62,
            np.zeros(3),
            np.nan,
            b"\xff",
            ["a", "b"],
            h5py.Empty("f4"),
            np.zeros((0, 2)),
            None,
        )
        value = values[rng.integers(len(values))]
        del opened[name].attrs[attribute]
        if value is not None:
            opened[name].attrs[attribute] = value
    return file.getvalue()


def change_setting(content: bytes, rng: np.random.Generator) -> bytes:
    """A line of TOML sets something else, or is none."""
    lines = content.decode().splitlines()
    number, words = int(rng.integers(len(lines))), json.dumps(_value(rng))
    name = lines[number].partition("=")[0]
    others = (
        f"{name} = {words}",
        f"{name} = nan",
        f"{name}.x = {words}",
        f"another = {words}",
        "[",
        f"{name} =",
        "= 3",
    )
    lines[number] = others[rng.integers(len(others))]
    return "\n".join(lines).encode(errors="surrogatepass")


def _value(rng: np.random.Generator) -> Any:
    return VALUES[rng.integers(len(VALUES))]


def _place(found: Any, rng: np.random.Generator) -> tuple[Any, ...]:
    places = list(_places(found))
    return places[rng.integers(len(places))]


def _places(found: Any) -> list[tuple[Any, ...]]:
    """Where values stand in JSON, as keys from the outermost on."""
    keys = list(found) if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ()
    return [place for key in keys for place in [(key,), *((key, *inner) for inner in _places(found[key]))]]


def _replaced(found: Any, rng: np.random.Generator, value: Any) -> Any:
    *path, last = _place(found, rng)
    inner = found
    for key in path:
        inner = inner[key]
    inner[last] = value
    return found


BYTES: dict[str, Change] = {
    "flip": flip, "flip early": flip_early, "cut": cut, "double": double, "blank": blank, "foreign": foreign
}  # fmt: skip
FORMATS: dict[str, dict[str, Change]] = {
    "json": {"value": change_json, "root": change_root, "text": change_text},
    "jsonl": {"line": change_line},
    "toml": {"setting": change_setting},
    "safetensors": {"header": change_header, "length": change_length, "tensor": change_tensor},
    "hdf5": {"dataset": change_dataset, "attribute": change_attribute},
    "npy": {"pickle": change_pickle, "opcodes": change_opcodes, "array header": change_array_header},
}
