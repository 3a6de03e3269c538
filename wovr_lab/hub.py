"""Models and runs on the Hugging Face Hub: fetched into its cache, and sent there with a card.

In: a name OWNER/NAME and a revision, or a folder. Out: a folder that the cache holds, or the address of a commit. Which
hub, whose token and which cache is said by huggingface_hub's own variables: HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelCardData, constants, scan_cache_dir
from huggingface_hub.errors import HfHubHTTPError

from wovr_lab.errors import UserError
from wovr_lab.machine import current_commit

REVISION = "main"
NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
# What huggingface_hub raises; the package that its bases come from, and with them lost connections, changes by version.
TROUBLE = (HfHubHTTPError, *HfHubHTTPError.__bases__, OSError, ValueError)


@dataclass(frozen=True)
class Card:
    """What only the sender knows of a model; each a sentence, or lines of Markdown."""

    provenance: str = "Not stated by whoever sent it."
    protocol: str = "Not stated by whoever sent it."
    results: str = "Not measured by whoever sent it."
    licence: str = "apache-2.0"  # as the hub names them

    def text(self, name: str, kind: str) -> str:
        """README.md of a `kind`, the name of the class that loads it."""
        head = ModelCardData(license=self.licence, library_name="wovr_lab", tags=["robotics", "world-model"])
        module = LOADED_FROM[kind]
        parts = {
            "How to load it": f'```python\nfrom {module} import {kind}\n\n{kind}.from_pretrained("{name}")\n```',
            "Provenance": f"{self.provenance}\n\nSent by wovr_lab at commit {current_commit()}.",
            "Protocol": self.protocol,
            "Results": self.results,
            "Licence": self.licence,
        }
        sections = [f"## {title}\n\n{text}\n" for title, text in parts.items()]
        return "\n".join([f"---\n{head}\n---\n", f"# {name.partition('/')[2]}\n", *sections])


LOADED_FROM = {  # the module of each class that loads itself
    "VLAPolicy": "wovr_lab.policy.vla",
    "WorldModel": "wovr_lab.world.model",
    "PixelWorldModel": "wovr_lab.world.pixel_model",
    "SuccessClassifier": "wovr_lab.reward.classifier",
    "StateProbe": "wovr_lab.measure.tabletop.probes",
    "RunFolder": "wovr_lab.pace.run_folder",
}


def is_hub_name(name: Path | str) -> bool:
    """Whether it has the form OWNER/NAME; says nothing of whether the hub has it."""
    return NAME.fullmatch(str(name)) is not None


def download(name: str, revision: str = REVISION) -> Path:
    """The folder of the cache with a repository's files at a branch, tag or commit; without a network what was fetched
    of it before. Raises UserError if it cannot be had, naming what the cache holds."""
    try:
        return Path(HfApi(endpoint=constants.ENDPOINT).snapshot_download(name, revision=revision))
    except TROUBLE as error:
        raise UserError(
            f"{name!r} (revision {revision!r}) is no folder here, is not shipped, and {constants.ENDPOINT} does not "
            f"give it ({_first_line(error)}); give a folder, sign in with hf auth login, or take what is cached: "
            f"{', '.join(cached()) or 'nothing'}"
        ) from error


def cached() -> list[str]:
    """The names of the model repositories in the cache, sorted."""
    if not Path(constants.HF_HUB_CACHE).is_dir():
        return []
    return sorted(repo.repo_id for repo in scan_cache_dir(constants.HF_HUB_CACHE).repos if repo.repo_type == "model")


def push(write: Callable[[Path], Any], name: str, text: str, private: bool = False) -> str:
    """Sends what `write` puts into a folder, and `text` as its README.md; the commit's address.

    Raises UserError on a name of another form, or if the hub does not take it.
    """
    if not is_hub_name(name):
        raise UserError(f"{name!r} is not a name on the hub; give OWNER/NAME")
    api = HfApi(endpoint=constants.ENDPOINT)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "model"
        write(folder)
        (folder / "README.md").write_text(text, encoding="utf-8")
        try:
            api.create_repo(name, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message="Upload with wovr_lab"))
        except TROUBLE as error:
            raise UserError(
                f"{constants.ENDPOINT} does not take {name!r} ({_first_line(error)}); sign in with hf auth login as "
                "someone who may write there"
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


class Pushable:
    """What has `save_pretrained`; stands before the base classes whose `push_to_hub` knows no card of ours."""

    def push_to_hub(self, name: str, card: Card = Card(), private: bool = False) -> str:
        """Sends it to the repository OWNER/NAME, which is made if need be; the commit's address. Raises UserError if
        the hub does not take it."""
        return push(self.save_pretrained, name, card.text(name, type(self).__name__), private)
