"""A run folder with a tiny untrained world model, whose pictures move, and a reward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from wovr_lab.episodes import write_episodes
from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.serve import Server
from wovr_lab.inspector.session import Session
from wovr_lab.inspector.tabs import Tabs
from wovr_lab.measure.tabletop.gallery import Case, write_gallery
from wovr_lab.policy.checkpoints import save_policy
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.real.tabletop.expert import expert_episodes
from wovr_lab.real.tabletop.tasks import TASKS
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.runs import write_json
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.sampler import FlowSampler
from wovr_lab.world.transformer import ActionWanTransformer


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = FrameGroupCodec(32, 4, 4, 16, 1)
        transformer = ActionWanTransformer(
            num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4,
            freq_dim=16, ffn_dim=32, num_layers=1,
        )  # fmt: skip
        # an untrained model imagines that nothing moves: give its last layers something to say
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.5)
        torch.nn.init.normal_(transformer.condition_embedder.modulation[-1].weight, std=0.5)
        torch.nn.init.normal_(codec.autoencoder.decoder.layers[-1].weight, std=0.1)
        instructions = [task.instruction for task in TASKS.values()]
        reward = SuccessClassifier(instructions, 32, 8)
    world = WorldModel(codec, transformer, sampler=FlowSampler(2))
    for suffix, threshold in (("", 0.5), ("_evolved", 0.25)):
        reward.threshold.fill_(threshold)
        world.save(folder / "checkpoints" / f"world{suffix}")
        reward.save(folder / "checkpoints" / f"reward{suffix}")
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.6, generator=torch.Generator().manual_seed(1))
    _episodes(folder)
    size = VLAConfig(stem_width=8, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, max_words=8)
    policy = VLAPolicy.create(size, build_tokenizer(task.instruction for task in TASKS.values()), 0)
    save_policy(policy, folder / "checkpoints" / "base")
    return folder


def _episodes(folder: Path) -> None:
    """Demonstrations, a keyframe in them, an "imagined" episode, which has no simulator states, two mined cases: the
    pictures turn negative where success is imagined, and reality has none."""
    episodes = list(expert_episodes("push_red", [20, 21], 0.0))
    write_episodes(folder / "episodes" / "demonstrations.hdf5", episodes)
    film = replace(episodes[0], states=None)
    write_episodes(folder / "comparison" / "base-imagined_only-imagined.hdf5", [film])
    about = {"kind": "imagined_only", "policy": "base", "world": "evolved", "task": "push_red", "object_cm": 7.5}
    late = np.arange(len(film)) >= 10
    believed = replace(film, frames=np.where(np.r_[False, late][:, None, None, None], 255 - film.frames, film.frames))
    believed, failed = replace(believed, success=late), replace(episodes[0], success=np.zeros_like(late))
    cases = [
        Case(about | {"start": start, "seed": 20, "step": step}, believed, failed, *np.zeros((2, len(film) + 1, 10)),
             np.zeros(len(film)))
        for start, step in (("keyframe", 9), ("initial", 0))
    ]  # fmt: skip
    write_gallery(folder / "measure" / "base-evolved-initial" / "gallery", cases)
    write_json(folder / "keyframes-improve_1.json", [{"task": "push_red", "seed": 20, "step": 9}])


CHROMIUM = Path("/usr/bin/chromium")
LONGEST = 60_000  # milliseconds; only a failing test waits that long

PIXELS = """id => { const canvas = document.getElementById(id);
    return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]; }"""


class Visitor:
    """A person in front of a page: what they see, what they do."""

    def __init__(self, page: Page):
        self.page = page
        self.readout = page.locator("#readout")

    def open(self, address: str) -> None:
        """Goes there and waits until the first pictures and numbers are shown."""
        self.page.goto(address)
        expect(self.page.locator("#rail button").first).to_be_visible(timeout=LONGEST)
        expect(self.readout).to_contain_text("step", timeout=LONGEST)

    def picture(self, name: str) -> np.ndarray:
        """The picture that the page shows, uint8 [H, W, 3]."""
        pixels = np.array(self.page.evaluate(PIXELS, name), np.uint8)
        side = int((len(pixels) / 4) ** 0.5)
        return pixels.reshape(side, side, 4)[..., :3]

    def press(self, key: str, told: str) -> None:
        """Presses a key and waits until the read-out tells this and the film of it is over."""
        self.page.keyboard.press(key)
        expect(self.readout).to_contain_text(told, timeout=LONGEST)
        self.settle()

    def settle(self) -> None:
        """Waits until nothing plays any more."""
        expect(self.page.locator("#play[aria-label=Play]")).to_be_visible(timeout=LONGEST)

    def stand(self, frame: int, told: str) -> None:
        """Moves the player to a frame, lets go of it, and waits until the read-out tells this."""
        self.page.locator("#scrub").fill(str(frame))
        self.page.locator("h1").click()
        expect(self.readout).to_contain_text(told, timeout=LONGEST)

    def tab(self, name: str) -> None:
        """Opens a tab of the side panel."""
        self.page.get_by_role("tab", name=name, exact=True).click()


@pytest.fixture(scope="module")
def inspector(models: RunModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Tabs]]:
    """The page's address and its sessions."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: run `make system-deps`")
    app, tabs = build_app(models, tmp_path_factory.mktemp("gallery"))
    server = Server(app)
    yield server.start(), tabs
    server.stop()


@pytest.fixture
def page(browser: Browser, inspector: tuple[str, Tabs]) -> Iterator[Page]:
    """A fresh tab, open; at its end, all that it has asked for must have been on this machine, and allowed, and no
    script may have failed."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(LONGEST)
    requested: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("pageerror", lambda error: refused.append(str(error)))
    Visitor(page).open(inspector[0])
    yield page
    hosts = {urlsplit(url).hostname for url in requested if urlsplit(url).scheme not in ("data", "blob")}
    page.close()
    assert hosts == {"127.0.0.1"} and not refused


@pytest.fixture
def visitor(page: Page) -> Visitor:
    """A person in front of the page that has just opened."""
    return Visitor(page)


@pytest.fixture(scope="session")
def models(run_folder: Path) -> RunModels:
    return RunModels(run_folder)


@pytest.fixture
def session(models: RunModels) -> Session:
    session = Session(models)
    session.start("push_red", 20)
    return session
