"""The server's borders, without a browser: hosts, origins, files, passwords."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from wovr_lab.errors import UserError
from wovr_lab.inspector.app import build_app
from wovr_lab.inspector.models import RunModels
from wovr_lab.inspector.serve import Root, Server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def client(models: RunModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    server = Server(build_app(models, tmp_path_factory.mktemp("gallery"))[0])
    with httpx.Client(base_url=server.start(), timeout=120) as client:
        yield client
    server.stop()


def test_the_page_comes_with_a_policy_that_keeps_everything_on_this_machine(client: httpx.Client):
    answer = client.get("/")
    assert answer.status_code == 200 and "Hallucination inspector" in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_other_hosts_and_other_origins_are_refused(client: httpx.Client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    upload = {"files": ("x.hdf5", b"x")}
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert client.post("/gradio_api/upload", files=upload, headers={"Origin": origin}).status_code == 403
    own = str(client.base_url).rstrip("/")
    assert client.post("/gradio_api/upload", files=upload, headers={"Origin": own}).status_code == 200


def test_large_uploads_are_refused(client: httpx.Client):
    answer = client.post("/gradio_api/upload", files={"files": ("x.hdf5", b"0" * (9 * 2**20))})
    assert answer.status_code == 413


@pytest.mark.parametrize("start", ["/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/", "/assets/"])
def test_files_outside_are_not_served(client: httpx.Client, start: str, run_folder: Path):
    weights = run_folder / "checkpoints" / "reward" / "config.json"
    for place in (
        "/etc/passwd", "../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
        "....//....//etc/passwd", str(weights), "pyproject.toml", ".git/config",
    ):  # fmt: skip
        answer = client.get(start + place)
        assert answer.status_code in (400, 403, 404, 405), (start + place, answer.status_code)


def test_others_must_know_a_password(models: RunModels, tmp_path: Path):
    for password in (None, "", "short"):
        with pytest.raises(UserError, match="WOVR_LAB_PASSWORD"):
            Server(build_app(models, tmp_path)[0], host="0.0.0.0", password=password)
    server = Server(build_app(models, tmp_path)[0], host="0.0.0.0", password="long enough")
    server.start()
    with httpx.Client(base_url=server.address.replace("0.0.0.0", "127.0.0.1"), timeout=120) as client:
        assert client.get("/config").status_code == 401
        assert client.post("/login", data={"username": "inspector", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "inspector", "password": "long enough"}).status_code == 200
        assert client.get("/config").status_code == 200
    server.stop()


def test_a_port_in_use_is_said(client: httpx.Client, models: RunModels, tmp_path: Path):
    with pytest.raises(UserError, match="not free"):
        Server(build_app(models, tmp_path)[0], port=client.base_url.port)


def test_it_stops_quietly_while_a_page_is_open(models: RunModels, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    server = Server(build_app(models, tmp_path)[0])
    with httpx.stream("GET", f"{server.start()}gradio_api/heartbeat/a", timeout=120) as page:
        assert "ALIVE" in next(page.iter_text())
        server.stop()
    assert not server.thread.is_alive() and not caplog.records


def test_behind_a_proxy_its_host_its_origin_and_its_path_are_known_and_no_others(models: RunModels, tmp_path: Path):
    root = Root("https://hub.example/user/me/proxy/7860/")
    server = Server(build_app(models, tmp_path, root)[0], root=root)
    assert server.start().endswith("/user/me/proxy/7860/")
    hub = {"Origin": "https://hub.example"}
    with httpx.Client(base_url=server.address.removesuffix("user/me/proxy/7860/"), timeout=120) as client:
        for path in ("/user/me/proxy/7860/", "/"):  # whether the proxy leaves the path on or takes it off
            answer = client.get(path, headers={"Host": "hub.example"})
            assert answer.status_code == 200 and '"root":"https://hub.example/user/me/proxy/7860"' in answer.text
            upload = f"{path}gradio_api/upload"
            assert client.post(upload, files={"files": ("x.hdf5", b"x")}, headers=hub).status_code == 200
            for origin in ("https://evil.example", "https://hub.example:1", "null"):
                refused = client.post(upload, files={"files": ("x.hdf5", b"x")}, headers={"Origin": origin})
                assert refused.status_code == 403
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    server.stop()


@pytest.mark.parametrize(
    "path", ["lab", "//evil.example/", "ftp://hub.example/", "/lab/?a=b", "/la b/", "https:///x", ""]
)
def test_root_paths_that_are_none_are_refused(path: str):
    with pytest.raises(UserError, match="such as /lab/"):
        Root(path)
