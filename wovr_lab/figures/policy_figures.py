"""What a policy has learnt and where it fails, in pictures (paper sections 1 and 4): labels, plans, places.

In: action tokens, chunks, starts with their outcomes. Out: figures; places in cm on the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from wovr_lab.figures.style import INK, OTHERS, QUIET, REAL, plain, styled
from wovr_lab.figures.wording import spaced
from wovr_lab.policy.imitation import demonstrations
from wovr_lab.policy.tokens import TRANSLATION, ActionTokens
from wovr_lab.policy.vla import VLAPolicy
from wovr_lab.real.tabletop.env import TabletopEnv
from wovr_lab.real.tabletop.scene import MOVE
from wovr_lab.real.tabletop.tasks import CUBES, TASKS, get_task
from wovr_lab.seeding import torch_stream
from wovr_lab.starts import start_at
from wovr_lab.types import Episode, Start

CENTIMETRES = 100
PAINT = {"red": "#C8382E", "blue": REAL, "green": OTHERS[0]}  # of the cubes


def label_figure(tokens: ActionTokens, value: float) -> go.Figure:
    """The label distribution of an action whose x and whose gripper are `value`: soft on x, one-hot on the gripper."""
    targets = tokens.targets(torch.full((7,), value))
    figure = go.Figure()
    soft = {"color": REAL}
    hard = {"color": "rgba(0, 0, 0, 0)", "line": {"color": QUIET, "width": 2}}
    for name, row, marker in (("x, y or z: soft", 0, soft), ("rotation or gripper: one-hot", -1, hard)):
        figure.add_bar(x=tokens.centres.numpy(), y=targets[row].numpy(), name=name, marker=marker)
    figure.add_vline(value, line={"color": INK, "dash": "dot"}, annotation_text=f"{value:+.2f}")
    figure.update_xaxes(title_text="value of the bin", range=[-1.08, 1.08])
    figure.update_yaxes(title_text="probability in the label", range=[0, 1.02])
    return styled(figure, 300).update_layout(bargap=0.15, barmode="overlay")


def plan_figure(plans: Mapping[str, np.ndarray]) -> go.Figure:
    """Where chunks float32 [S, K, 7] want the hand to go, in the table's plane as the camera sees it, by the colour of
    the cube that was named; one line a sample."""
    figure = go.Figure()
    for colour, chunks in plans.items():
        moves = np.cumsum(chunks[..., :2], 1) * MOVE * CENTIMETRES
        paths = np.concatenate([np.zeros_like(moves[:, :1]), moves, np.full_like(moves[:, :1], np.nan)], 1)
        figure.add_scatter(
            x=paths[..., 1].ravel(), y=paths[..., 0].ravel(), mode="lines+markers", name=f"told of the {colour} cube",
            line={"color": PAINT[colour], "width": 1}, marker={"size": 4}, opacity=0.6,
        )  # fmt: skip
    figure.update_xaxes(title_text="to the right, towards the goal (cm)", range=[-17, 5])
    figure.update_yaxes(title_text="towards the camera (cm)", range=[10, -10])
    return styled(figure, 440).update_layout(width=560, autosize=False)


def sampled_plans(policy: VLAPolicy, start: Start, temperature: float, count: int, seed: int) -> dict[str, np.ndarray]:
    """`count` chunks float32 [count, 8, 7] from the picture of a start, by the cube that the instruction names."""
    seen, plans = {"frame": np.repeat(start.memory[-1:], count, 0)}, {}
    for told in (start, misled(start)):
        noise = torch_stream(seed, "plans", told.instruction)
        plans[named_cube(told)] = policy.act(seen, (told.instruction,) * count, noise, temperature).actions
    return plans


def misled(start: Start) -> Start:
    """A start whose instruction names the scene's other cube; scene and task stay what they were."""
    task = get_task(start.task)
    other = next(each for each in TASKS.values() if each.scene == task.scene and each.cube != task.cube)
    return replace(start, instruction=other.instruction)


def named_cube(start: Start) -> str:
    """The colour of the cube that the instruction of a start names."""
    return next(cube for cube in CUBES[get_task(start.task).scene] if cube in start.instruction)


def target_places(starts: Sequence[Start]) -> np.ndarray:
    """float64 [n, 2], where the cube that each task is about stands at its start, in cm: x, y."""
    env, places = TabletopEnv(resolution=8), []  # nothing is looked at
    for start in starts:
        env.reset(seed=start.seed, options={"task": start.task, "state": start.state})
        places.append(env.readout().cubes[env.definition.cube][:2])
    return CENTIMETRES * np.array(places)


def demonstrated_places(episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
    """float64 [m, 2] by task: where its cube stood at the start of each demonstration, in cm."""
    starts = [start_at(episode, 0) for episode in episodes]
    return {name: target_places([s for s in starts if s.task == name]) for name in {s.task for s in starts}}


def distance_to_nearest(tasks: Sequence[str], places: np.ndarray, shown: Mapping[str, np.ndarray]) -> np.ndarray:
    """float64 [n], cm from each place [n, 2] to the nearest one of its task that was shown."""
    gaps = [np.linalg.norm(shown[task] - place, axis=1).min() for task, place in zip(tasks, places, strict=True)]
    return np.array(gaps)


def imitation_error(policy: VLAPolicy, episodes: Sequence[Episode]) -> float:
    """How many bins the greedy x, y, z tokens lie beside the demonstrated ones, on average over all frames."""
    data = demonstrations(episodes, policy.config.chunk)
    with torch.no_grad():
        chosen = policy.logits({"frame": data.frames}, data.instructions).argmax(-1)
    wanted = policy.action_tokens.encode(torch.from_numpy(data.chunks))
    return float((chosen - wanted)[..., TRANSLATION].abs().float().mean())


def places_figure(
    tasks: Sequence[str], places: np.ndarray, succeeded: np.ndarray, demonstrated: Mapping[str, np.ndarray]
) -> go.Figure:
    """Outcomes bool [n] where the cube of the task stood, [n, 2] in cm, a panel a task, and the places [m, 2] that
    demonstrations have shown."""
    names = sorted(set(tasks), key=list(TASKS).index)
    figure = make_subplots(
        1, len(names), subplot_titles=[plain(spaced(name)) for name in names], horizontal_spacing=0.05,
    )  # fmt: skip
    kinds = (
        ("real success", succeeded, {"color": REAL, "size": 9}),
        ("real failure", ~succeeded, {"color": QUIET, "size": 8, "symbol": "x-thin", "line": {"width": 2}}),
    )
    for column, name in enumerate(names, 1):
        here = np.array([task == name for task in tasks])
        for label, rows, marker in kinds:
            shown = places[here & rows]
            figure.add_scatter(
                x=shown[:, 1], y=shown[:, 0], mode="markers", name=label, legendgroup=label, showlegend=column == 1,
                marker=marker | {"line": {"width": marker.get("line", {}).get("width", 0), "color": marker["color"]}},
                row=1, col=column,
            )  # fmt: skip
        figure.add_scatter(
            x=demonstrated[name][:, 1], y=demonstrated[name][:, 0], mode="markers", name="demonstrated",
            marker={"symbol": "star", "size": 17, "color": OTHERS[2], "line": {"width": 1, "color": INK}},
            legendgroup="shown", showlegend=column == 1, row=1, col=column,
        )  # fmt: skip
    figure.update_xaxes(title_text="to the right (cm)")
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title_text="towards the camera (cm)", row=1, col=1)
    return styled(figure, 360).update_layout(legend_y=1.12)
