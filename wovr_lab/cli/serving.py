"""Commands that serve a run's models to other programs: `wovr-lab serve ...`. Registered by `cli`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from wovr_lab.cli.options import Commands
from wovr_lab.cli.real import console
from wovr_lab.machine import require_extra
from wovr_lab.pace.run_folder import RunFolder

serve = Commands(no_args_is_help=True, help="Serve a run's policy or world model to other programs (websocket).")
Run = Annotated[Path, typer.Argument(help="run folder, or demo, the shipped one")]
Port = Annotated[int | None, typer.Option(help="any free one, if not given")]
Host = Annotated[str, typer.Option(help="others than 127.0.0.1 need a token: WOVR_LAB_TOKEN")]
LOCAL = "127.0.0.1"


@serve.command()
def policy(
    folder: Run,
    name: Annotated[str, typer.Option(help="its checkpoint, such as base")] = "improved",
    temperature: Annotated[float, typer.Option(min=0.0, help="of openpi's requests; 0 is greedy")] = 0.0,
    port: Port = None,
    host: Host = LOCAL,
) -> None:
    """Serve a policy by openpi's protocol."""
    require_extra("serve", "msgpack", "websockets")
    from wovr_lab.serve.policy import PolicyService  # needs the serve extra

    chosen = RunFolder(folder).policy(name)
    _wait(PolicyService(chosen, chosen.config.resolution, temperature), port, host)


@serve.command()
def world(
    folder: Run,
    name: Annotated[str, typer.Option(help="of the world model's checkpoint")] = "last",
    port: Port = None,
    host: Host = LOCAL,
) -> None:
    """Serve sessions of imagination, judged by the run's reward."""
    require_extra("serve", "msgpack", "websockets")
    from wovr_lab.serve.sessions import Sessions  # needs the serve extra
    from wovr_lab.serve.world import WorldService

    run = RunFolder(folder)
    _wait(WorldService(Sessions(run.world(name), run.reward())), port, host)


def _wait(service: object, port: int | None, host: str) -> None:
    """Serves until interrupted."""
    from wovr_lab.serve.sockets import Server

    server = Server(service, port, host, token=os.environ.get("WOVR_LAB_TOKEN", ""))
    console.print(f"serving on {server.address}; end it with Ctrl-C", markup=False, highlight=False, soft_wrap=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        server.close()
