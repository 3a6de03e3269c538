"""Models and runs go to a hub and come back, over real HTTP to a small hub of our own on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from transformers import AutoConfig, AutoModel

from wovr_lab.errors import UserError
from wovr_lab.hub import Card, cached
from wovr_lab.measure.tabletop.probes import StateProbe
from wovr_lab.pace.run_folder import RunFolder
from wovr_lab.policy.checkpoints import load_policy
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.shipped import folder_of, shipped
from wovr_lab.world.protocol import load_world_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Files = dict[str, dict[str, bytes]]  # of each repository


class Hub(BaseHTTPRequestHandler):
    """The routes that huggingface_hub uses to make a repository, to commit to it and to fetch it: one commit."""

    protocol_version = "HTTP/1.1"
    repositories: Files

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body, path = self.rfile.read(int(self.headers["Content-Length"])), self.path.partition("?")[0]
        if path == "/api/validate-yaml":
            return self.answer({})
        if path == "/api/repos/create":
            given = json.loads(body)
            name = "/".join(filter(None, (given.get("organization"), given["name"])))
            self.repositories.setdefault(name, {})
            return self.answer({"url": f"{constants.ENDPOINT}/{name}", "name": name})
        name, kind = re.fullmatch(r"/api/models/(\w+/\w+)/(preupload|commit)/main", path).groups()
        if kind == "preupload":
            files = [file["path"] for file in json.loads(body)["files"]]
            regular = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self.answer({"files": [{"path": path, **regular} for path in files]})
        lines = [json.loads(line) for line in body.splitlines()]
        sent = [line["value"] for line in lines if line["key"] == "file"]
        self.repositories[name] |= {file["path"]: base64.b64decode(file["content"]) for file in sent}
        return self.answer({"commitUrl": f"{constants.ENDPOINT}/{name}/commit/{COMMIT}", "commitOid": COMMIT})

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        found = re.fullmatch(r"(?:/api/models)?/(\w+/\w+)(?:/(revision|tree|resolve)/(main|\w{40})(?:/(.+))?)?", path)
        name, kind, _, file = found.groups() if found else ("", "", "", "")
        files = self.repositories.get(name)
        if files is None:
            return self.refuse("RepoNotFound")
        if kind == "tree":
            return self.answer([self.entry(file, data) for file, data in files.items()])
        if kind != "resolve":
            return self.answer({"id": name, "sha": COMMIT, "siblings": [{"rfilename": each} for each in files]})
        return self.send(files[file]) if file in files else self.refuse("EntryNotFound")

    do_HEAD = do_GET

    @staticmethod
    def entry(path: str, data: bytes) -> dict:
        return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def answer(self, value: object) -> None:
        self.send(json.dumps(value).encode())

    def refuse(self, code: str) -> None:
        self.send(b"{}", 404, {"X-Error-Code": code})

    def send(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        tag = hashlib.sha1(data).hexdigest()
        of_file = {"Content-Length": str(len(data)), "ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}
        for key, value in (of_file | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[Files]:
    """What the hub holds; `huggingface_hub` is told of it as by HF_ENDPOINT and HF_HUB_CACHE, which it reads once."""
    handler = type("ThisHub", (Hub,), {"repositories": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    yield handler.repositories
    server.shutdown()
    server.server_close()
    thread.join()


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def test_a_policy_comes_back_from_the_hub_and_acts_the_same(hub):
    policy = load_policy(shipped("demo") / "checkpoints/base")
    card = Card("Imitates the shipped demonstrations.", "Tabletop, 48 steps.", "49.4 %", "mit")
    assert policy.push_to_hub("someone/pusher", card).endswith(f"/someone/pusher/commit/{COMMIT}")
    back = VLAPolicy.from_pretrained("someone/pusher")
    seen = {"frame": np.zeros((1, 32, 32, 3), np.uint8)}, ("push the red cube",), torch.Generator(), 0.0
    assert np.array_equal(back.act(*seen).actions, policy.act(*seen).actions)
    text = hub["someone/pusher"]["README.md"].decode()
    assert text.startswith("---\n") and "license: mit" in text and "library_name: wovr_lab" in text
    for part in ('VLAPolicy.from_pretrained("someone/pusher")', "Tabletop, 48 steps.", "49.4 %", "demonstrations."):
        assert part in text


def test_transformers_knows_the_policy_by_its_model_type(hub):
    policy = load_policy(shipped("demo") / "checkpoints/base")
    policy.push_to_hub("someone/pusher")
    assert isinstance(AutoConfig.from_pretrained("someone/pusher"), VLAConfig)
    found = AutoModel.from_pretrained("someone/pusher", dtype=torch.float16)
    assert isinstance(found, VLAPolicy) and found.dtype == torch.float16


def test_the_policy_passes_the_librarys_options_on(tmp_path):
    policy = load_policy(shipped("demo") / "checkpoints/base")
    policy.save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert same_weights(policy, VLAPolicy.from_pretrained(tmp_path))


def test_a_world_model_of_either_kind_comes_back_from_the_hub(hub):
    for name in ("backbone", "pixel_backbone"):
        world = load_world_model(next(path.parent for path in shipped(name).rglob("world.json")))
        world.push_to_hub(f"someone/{name}")
        assert same_weights(world, type(world).from_pretrained(f"someone/{name}"))
        assert type(world).__name__ in hub[f"someone/{name}"]["README.md"].decode()


def test_reward_and_probe_come_back_from_the_hub_and_keep_no_path_of_this_machine(hub, tmp_path):
    for kind, folder in ((SuccessClassifier, "demo/checkpoints/reward"), (StateProbe, "probe")):
        model = kind.from_pretrained(folder)
        name = f"someone/{kind.__name__}"
        model.push_to_hub(name)
        assert same_weights(model, kind.from_pretrained(name, revision=COMMIT))
        config = hub[name]["config.json"].decode()
        assert str(shipped("probe").parent) not in config and str(tmp_path) not in config


def test_a_repository_with_another_kind_of_model_is_one_error(hub):
    StateProbe.from_pretrained("probe").push_to_hub("someone/probe")
    with pytest.raises(UserError, match="no usable SuccessClassifier but StateProbe"):
        SuccessClassifier.from_pretrained("someone/probe")


def test_a_whole_exported_run_comes_back_from_the_hub_with_its_results_on_the_card(hub):
    run = RunFolder("demo")
    run.push_to_hub("someone/demo")
    back = RunFolder.from_pretrained("someone/demo")
    assert back.report() == run.report() and len(back.episodes("demonstrations")) == len(run.episodes("demonstrations"))
    assert same_weights(back.policy(), run.policy())
    card = hub["someone/demo"]["README.md"].decode()
    assert run.report()["verdict"] in card and "wovr-lab run --scale demo" in card


def test_what_was_fetched_is_found_without_the_hub_and_the_rest_says_what_is_cached(hub, monkeypatch):
    StateProbe.from_pretrained("probe").push_to_hub("someone/probe")
    there = folder_of("someone/probe", "main")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert folder_of("someone/probe", "main") == there and cached() == ["someone/probe"]
    with pytest.raises(UserError, match=r"someone/other.*take what is cached: someone/probe"):
        StateProbe.from_pretrained("someone/other")


def test_a_name_that_the_hub_does_not_know_is_one_error(hub):
    with pytest.raises(UserError, match=r"'nobody/nothing' \(revision 'main'\) is no folder here"):
        RunFolder.from_pretrained("nobody/nothing")
    with pytest.raises(UserError, match="give OWNER/NAME"):
        StateProbe.from_pretrained("probe").push_to_hub("../nothing")


def test_a_folder_here_and_what_is_shipped_come_before_the_hub_which_is_asked_only_with_a_revision(hub, tmp_path):
    hub["demo/checkpoints"] = hub["some/folder"] = {"config.json": b"{}"}
    (tmp_path / "some/folder").mkdir(parents=True)
    assert folder_of("some/folder", "main") == Path("some/folder")
    assert folder_of("demo/checkpoints", "main") == shipped("demo") / "checkpoints"
    assert folder_of("runs/typo") == Path("runs/typo")
