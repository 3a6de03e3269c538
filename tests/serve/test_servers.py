"""Servers and clients: what is remote is what is here, what is malformed is answered, sessions are kept apart."""

from __future__ import annotations

import socket
from dataclasses import replace

import msgpack
import numpy as np
import pytest
import torch
from websockets.sync.client import connect

from wovr_lab.checks import check_chunk_env
from wovr_lab.contracts import ChunkEnv
from wovr_lab.errors import UserError
from wovr_lab.imagined.environment import ImaginedEnv
from wovr_lab.policy.language import build_tokenizer
from wovr_lab.policy.vla import VLAConfig, VLAPolicy
from wovr_lab.reward.classifier import SuccessClassifier
from wovr_lab.serve import sessions as sessions_module
from wovr_lab.serve.messages import pack, unpack
from wovr_lab.serve.policy import PolicyService, RemotePolicy
from wovr_lab.serve.sessions import IDLE, Sessions
from wovr_lab.serve.sockets import Connection, Server
from wovr_lab.serve.world import RemoteWorldEnv, WorldService
from wovr_lab.starts import start_at
from wovr_lab.types import Start
from wovr_lab.world.codec import FrameGroupCodec
from wovr_lab.world.model import WorldModel
from wovr_lab.world.transformer import ActionWanTransformer

WORDS = "push the red cube"


@pytest.fixture(scope="module")
def policy() -> VLAPolicy:
    config = VLAConfig(stem_width=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, max_words=8)
    return VLAPolicy.create(config, build_tokenizer((WORDS,)), run_seed=0).eval()


@pytest.fixture(scope="module")
def world() -> WorldModel:
    """Untrained; frames depend on noise, actions and context."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = FrameGroupCodec(width=32, latent_channels=8)
        torch.nn.init.normal_(codec.autoencoder.decoder.layers[-1].weight, std=0.2)
        sizes = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 1, "ffn_dim": 64, "freq_dim": 32}
        transformer = ActionWanTransformer(in_channels=8, out_channels=8, **sizes)
        torch.nn.init.normal_(transformer.proj_out.weight, std=0.2)
        torch.nn.init.normal_(transformer.condition_embedder.modulation[-1].weight, std=0.5)
    return WorldModel(codec, transformer).eval()


@pytest.fixture(scope="module")
def reward() -> SuccessClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return SuccessClassifier([WORDS], width=8, consecutive=3).eval()


@pytest.fixture
def starts(make_episode) -> list[Start]:
    episodes = [make_episode(seed, 40, size=32) for seed in range(3)]
    return [start_at(episodes[0], 0), start_at(episodes[1], 10), start_at(episodes[2], 0)]


@pytest.fixture
def serve():
    """Serves until the test ends."""
    servers: list[Server] = []

    def made(service, **settings) -> Server:
        servers.append(Server(service, **settings))
        return servers[-1]

    yield made
    for server in servers:
        server.close()


def chunks(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, 8, 7)).astype(np.float32)


FRAMES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)


def test_arrays_come_back_as_they_were_and_objects_do_not_pass():
    sent = {"a": FRAMES, "b": [np.float32(0.5), np.int64(3), "x", None], "c": np.zeros((0, 7)), "d": np.array([True])}
    found = unpack(pack(sent))
    assert all(np.array_equal(found[name], sent[name]) and found[name].dtype == sent[name].dtype for name in "acd")
    assert found["b"] == sent["b"]
    with pytest.raises(TypeError, match="plain numbers"):
        pack({"a": np.array([object()])})
    for array in (
        {"dtype": "|O", "shape": [1], "data": b"12345678"},
        {"dtype": "<f4", "shape": [2**40], "data": b""},
        {"dtype": "<f4", "shape": [0, 2**63], "data": b""},
        {"dtype": "(1,", "shape": [0], "data": b""},
        {"dtype": {"names": []}, "shape": [0], "data": b""},
    ):
        with pytest.raises(UserError, match="no msgpack of plain arrays"):
            unpack(msgpack.packb({"__ndarray__": True, **array}))


@pytest.mark.parametrize(
    "kind, value", [("|u1", 300), ("<u4", -1), ("<i8", float("inf")), ("<f4", [1, 2]), ("f4,(", 1)]
)
def test_a_number_that_its_type_does_not_hold_does_not_pass(kind, value):
    with pytest.raises(UserError, match="no msgpack of plain arrays"):
        unpack(msgpack.packb({"__npgeneric__": True, "dtype": kind, "data": value}))


def test_openpis_requests_are_answered_by_the_policys_own_actions(policy, serve):
    """Sent and read as openpi's client does: metadata first, keys of arrays as bytes, text where something is wrong."""
    server = serve(PolicyService(policy, 32))
    with connect(server.address, compression=None, max_size=None) as socket:
        assert unpack(socket.recv())["resolution"] == 32
        socket.send(pack({"observation/image": FRAMES[0], "prompt": WORDS}))
        answer = msgpack.unpackb(socket.recv())
        actions = answer["actions"]
        assert actions[b"__ndarray__"] and actions[b"dtype"] == "<f4" and answer["server_timing"]["infer_ms"] > 0
        wanted = policy.act({"frame": FRAMES[:1]}, (WORDS,), torch.Generator(), 0.0).actions[0]
        assert np.array_equal(np.frombuffer(actions[b"data"], "<f4").reshape(actions[b"shape"]), wanted)
        socket.send(pack({"observation/image": FRAMES[0, :16], "prompt": WORDS}))
        assert "pictures are" in socket.recv()
        socket.send(pack({"observation/image": FRAMES[0], "prompt": WORDS}))
        assert unpack(socket.recv())["actions"].shape == (8, 7)


def test_a_remote_policy_acts_as_the_one_here(policy, serve):
    remote = RemotePolicy(serve(PolicyService(policy, 32)).address)
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(5)))
    here = policy.act({"frame": FRAMES}, (WORDS,) * 2, torch.Generator().manual_seed(seed), 0.8)
    found = remote.act({"frame": FRAMES}, (WORDS,) * 2, torch.Generator().manual_seed(5), 0.8)
    assert np.array_equal(found.actions, here.actions) and torch.equal(found.tokens, here.tokens)
    assert torch.equal(found.log_probs, here.log_probs)
    with pytest.raises(UserError, match="answers: instructions must be 2 texts"):
        remote.act({"frame": FRAMES}, (WORDS,), torch.Generator(), 0.0)
    remote.close()


def test_a_remote_world_keeps_the_contract_and_imagines_what_the_one_here_does(world, reward, serve, starts):
    connection = Connection(serve(WorldService(Sessions(world, reward))).address)

    def make() -> ChunkEnv:
        return RemoteWorldEnv(connection, 3, 24)

    check_chunk_env(make, starts)
    remote, here = make(), ImaginedEnv(world, reward, 3, 24)
    for env in (remote, here):
        env.reset(seed=4, options={"starts": starts})
    for number in range(3):
        found, wanted = (env.step(chunks(3, number)) for env in (remote, here))
        assert np.array_equal(found[0]["frame"], wanted[0]["frame"]) and np.array_equal(found[1], wanted[1])
        assert found[4].keys() == wanted[4].keys()
        assert all(np.array_equal(found[4][name], wanted[4][name]) for name in found[4])


def test_a_session_is_copied_and_taken_back(world, reward, starts):
    sessions = Sessions(world, reward)
    first, second, third = sessions.begin(starts, 4, [0, 1, 2])
    once = sessions.step([first, second], chunks(2))
    copy, other = sessions.fork(first), sessions.fork(first, seed=9)
    both = sessions.step([first, copy, other], chunks(1).repeat(3, 0))
    assert np.array_equal(both["frames"][0], both["frames"][1]) and (both["frames"][0] != both["frames"][2]).any()
    sessions.rewind(first, 2)
    again = sessions.step([third, first], chunks(1).repeat(2, 0))
    assert np.array_equal(again["frames"][1], once["frames"][0])
    assert np.allclose(again["success_probability"][1], once["success_probability"][0], atol=1e-6)
    with pytest.raises(UserError, match="2 chunks cannot be taken back; 1 to 1 can"):
        sessions.rewind(first, 2)
    with pytest.raises(UserError, match="none twice"):
        sessions.step([first, first], chunks(2))


def test_sessions_are_few_and_end_when_they_lie_idle(world, starts, monkeypatch):
    now = [0.0]
    sessions = Sessions(world, clock=lambda: now[0])
    monkeypatch.setattr(sessions_module, "MOST_SESSIONS", 3)
    begun = sessions.begin(starts, 0, [0, 1, 2])
    for more in (lambda: sessions.begin(starts[:1], 0, [0]), lambda: sessions.fork(begun[0])):
        with pytest.raises(UserError, match="3 of 3 sessions are open"):
            more()
    now[0] = IDLE - 1
    sessions.step(begun[:1], chunks(1))
    now[0] = IDLE + 1
    assert len(sessions.begin(starts[:2], 0, [0, 1])) == 2 and begun[0] in sessions.open
    with pytest.raises(UserError, match="lay idle"):
        sessions.step(begun[1:2], chunks(1))


def test_a_clients_sessions_are_its_own_and_end_with_it(world, serve, starts):
    sessions = Sessions(world)
    server = serve(WorldService(sessions))
    mine, theirs = Connection(server.address), Connection(server.address)
    env = RemoteWorldEnv(mine, 3, 24)
    env.reset(seed=0, options={"starts": starts})
    name = next(iter(sessions.open))
    for op in ({"op": "step", "sessions": [name], "actions": chunks(1)}, {"op": "fork", "session": name}):
        with pytest.raises(UserError, match="no session of this connection"):
            theirs.ask(op)
    with pytest.raises(UserError, match="no reward"):
        theirs.ask({"op": "judge", "frames": FRAMES[None], "instructions": [WORDS]})
    mine.close()
    server.close()
    assert not sessions.open


def test_a_reward_is_served_beside_its_world(world, reward, serve):
    connection = Connection(serve(WorldService(Sessions(world, reward))).address)
    told = connection.ask({"op": "judge", "frames": FRAMES[None], "instructions": [WORDS]})
    assert np.allclose(told["success_probability"], reward.probability(FRAMES[None], [WORDS]))
    with pytest.raises(UserError, match="frames are"):
        connection.ask({"op": "judge", "frames": FRAMES, "instructions": [WORDS] * 2})


def test_malformed_messages_are_answered_and_leave_the_server_as_it_was(world, policy, serve, starts):
    rng = np.random.default_rng(0)
    start = {"anchor": starts[0].anchor, "memory": starts[0].memory, "memory_actions": starts[0].memory_actions}
    begin = {"op": "begin", "starts": [start], "seed": 0, "rows": [0]}
    whole = [
        pack(begin),
        pack({"observation/image": FRAMES[0], "prompt": WORDS}),
        pack({"op": "close", "sessions": []}),
    ]
    sessions = Sessions(world)
    for service in (WorldService(sessions), PolicyService(policy, 32)):
        server = serve(service)
        with connect(server.address, compression=None) as client:
            client.recv()
            for number in range(100):
                message = bytearray(whole[number % 3][: 2000 if number % 2 else None])
                for place in rng.integers(0, min(len(message), 200), 5):
                    message[place] = rng.integers(256)
                client.send("text" if number % 10 == 9 else bytes(message))
                assert client.recv() is not None


WRONG = {
    "a request needs an 'op'": {"op": "dream"},
    "a request to step needs sessions, actions": {"op": "step"},
    "sessions must be a list": {"op": "close", "sessions": "x"},
    "a start must be a dictionary": {"op": "begin", "starts": [3], "seed": 0, "rows": [0]},
    "a start needs anchor": {"op": "begin", "starts": [{}], "seed": 0, "rows": [0]},
    "0 starts and 0 rows": {"op": "begin", "starts": [], "seed": 0, "rows": []},
    "seed is -1": {"op": "begin", "starts": [], "seed": -1, "rows": []},
    "is no session of this connection": {"op": "rewind", "session": "x", "chunks": 1},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_request_that_cannot_be_answered_says_why(world, message):
    with pytest.raises(UserError, match=message):
        WorldService(Sessions(world)).converse().answer(WRONG[message])


def test_starts_of_another_size_are_refused(world, starts):
    small = replace(starts[0], anchor=starts[0].anchor[:16])
    with pytest.raises(UserError, match="a start of"):
        Sessions(world).begin([small], 0, [0])


def test_a_token_twice_or_of_any_bytes_is_refused_and_nothing_is_logged(policy, serve, caplog):
    port = int(serve(PolicyService(policy, 32), token="a" * 16).address.rpartition(":")[2])
    head = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    head += b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    for lines in (b"Authorization: Api-Key " + b"a" * 16 + b"\r\n") * 2, b"Authorization: \xff\xfe\r\n":
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head + lines + b"\r\n")
            assert b" 401 " in client.recv(200)
    socket.create_connection(("127.0.0.1", port)).close()  # goes away before it has said anything
    assert not [each for each in caplog.records if each.exc_info]


def test_others_need_the_token(policy, serve):
    service = PolicyService(policy, 32)
    with pytest.raises(UserError, match="set WOVR_LAB_TOKEN"):
        serve(service, host="0.0.0.0")
    server = serve(service, token="a" * 16)
    for token in ("", "b" * 16):
        with pytest.raises(UserError, match="check address and token"):
            Connection(server.address, token)
    assert Connection(server.address, "a" * 16).metadata["kind"] == "policy"
    with pytest.raises(UserError, match="serves a policy, not a world"):
        RemoteWorldEnv(Connection(server.address, "a" * 16), 1, 8)
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(UserError, match="is not free"):
        serve(service, port=port)
    server.close()
    with pytest.raises(UserError, match="serves nothing here"):
        Connection(server.address)
