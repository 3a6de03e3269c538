"""Networks as diffusers keeps them: folders with config.json and safetensors weights, saved and loaded whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_type_hints

from diffusers import ConfigMixin, ModelMixin
from safetensors import SafetensorError
from torch import nn

from wovr_lab.borders import as_path
from wovr_lab.errors import UserError
from wovr_lab.fields import Range, check
from wovr_lab.hub import REVISION, Pushable
from wovr_lab.runs import check_finite, read_object, replacing
from wovr_lab.shipped import folder_of

LARGEST_SIZE, MOST_LAYERS = 2**17, 2**10  # in the configuration of a network
Model = TypeVar("Model", bound=ModelMixin)


class Network(Pushable, ModelMixin, ConfigMixin):
    """One of our own, saved by itself."""

    def save(self, folder: Path) -> None:
        """A folder with the configuration and safetensors weights; atomic."""
        with replacing(folder, type(self).__name__) as partial:
            self.save_pretrained(partial)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote, in eval mode. Raises UserError if the folder holds no whole network of this class."""
        return load_model(cls, folder)

    @classmethod
    def from_pretrained(cls, name: Path | str, *, revision: str = REVISION, **options: Any) -> Self:
        """Loads with the options of diffusers, of a folder, of what is shipped under that name, or of a repository
        OWNER/NAME of the hub. Raises UserError as `load` does; with options, errors in the files are diffusers'."""
        folder = folder_of(name, revision)
        if not options:
            return load_model(cls, folder)
        made = super().from_pretrained(folder, **options | {"local_files_only": True, "use_safetensors": True})
        model = made[0] if isinstance(made, tuple) else made  # with output_loading_info it is a pair
        model.register_to_config(_name_or_path=folder.name)  # not this machine's path, which would be saved again
        return made


def convolutions(width: int) -> list[nn.Module]:
    """The trunk of a small network that reads a frame: pictures [B, 3, H, W] to [B, 2 width H/8 W/8]; sides are
    multiples of 8, `width` is one too."""

    def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU())

    return [
        convolution(3, width, 4, 2),
        convolution(width, 2 * width, 3, 1),
        convolution(2 * width, 2 * width, 3, 2),
        convolution(2 * width, 2 * width, 3, 2),
        nn.Flatten(),
    ]


def _check_config(kind: type, path: Path, config: dict[str, Any]) -> None:
    """Raises UserError on sizes that no network has, before any memory is asked for, and on what is not of the type
    that one of our own classes declares for it (diffusers' own declare types, and do not keep to them)."""
    own = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    hints = get_type_hints(kind.__init__, include_extras=True) if own else {}
    for name, value in config.items():
        if name in hints:
            check(f"{path}: {name}", tuple(value) if isinstance(value, list) else value, hints[name])
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not isinstance(number, bool):
                most = MOST_LAYERS if "layers" in name else LARGEST_SIZE
                check(f"{path}: {name}", number, Annotated[int, Range(0, most)])


def load_model(kind: type[Model], folder: Path) -> Model:
    """A diffusers model of exactly that class and its configuration, in eval mode; safetensors only.

    Raises UserError if the folder holds none, half of one, or another kind of model.
    """
    folder = as_path(folder)
    problem = f"{folder} holds no usable {kind.__name__}"
    advice = "train it again or give another folder"
    config = read_object(folder / "config.json")
    _check_config(kind, folder / "config.json", config)
    written = config.get("_class_name")
    if written != kind.__name__:
        raise UserError(f"{problem} but {written}; {advice}")
    try:
        model, report = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{problem} ({error}); {advice}") from error
    differing = sorted(str(name) for names in report.values() for name in names)
    if differing:
        raise UserError(f"{problem}: {len(differing)} tensors do not fit it, e.g. {differing[0]}; {advice}")
    check_finite(model, folder)
    model.register_to_config(_name_or_path=folder.name)  # not this machine's whole path, which would be saved again
    return model.eval()
