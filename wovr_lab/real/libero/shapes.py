"""Where things are in a LIBERO scene, for experts: the outlines of objects, who touches whom, what the goal asks for.

In: a simulator. Out: points on surfaces, in metres in the world. Privileged knowledge; no policy sees it.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from wovr_lab.errors import UserError
from wovr_lab.real.libero.grasp import Obstacles
from wovr_lab.real.libero.simulator import Simulator

POINTS = 300  # on a body's surface, at most
PREDICATES = ("in", "on")  # of the goals that picking and placing can reach


@dataclass(frozen=True)
class Subgoal:
    """One thing to bring to one place."""

    thing: str
    place: str
    inside: bool  # into a container, rather than onto something


class Shapes:
    """The things of a simulator's scene; call it as often as you like, it follows the present."""

    def __init__(self, simulator: Simulator):
        self.simulator, env = simulator, simulator.env
        self.things: tuple[str, ...] = tuple(env.objects_dict)
        fixtures = [name for name in env.fixtures_dict if name in env.obj_body_id]
        self.bodies = {name: env.obj_body_id[name] for name in (*self.things, *fixtures)}
        model = simulator.model
        self.owner = np.array([_owner(model, body, set(self.bodies.values())) for body in model.geom_bodyid])
        self.outlines = {name: self._outline(body) for name, body in self.bodies.items()}
        fingers = env.robots[0].gripper.important_geoms
        self.fingers = [[model.geom(geom).id for geom in fingers[side]] for side in ("left_finger", "right_finger")]
        self.subgoals = tuple(subgoal_of(state, set(self.things)) for state in env.parsed_problem["goal_state"])
        for subgoal in self.subgoals:
            self._check_is_open(subgoal.place)

    def points(self, name: str) -> np.ndarray:
        """float64 [n, 3], on the surface of a thing or fixture."""
        data = self.simulator.data
        parts = [
            local @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
            for geom, local in self.outlines[name].items()
        ]
        return np.concatenate(parts)

    def others(self, name: str) -> Obstacles:
        """Boxes around the collision shapes of everything but one thing, the robot and the furniture below."""
        model, data = self.simulator.model, self.simulator.data
        geoms = np.flatnonzero((self.owner > 0) & (self.owner != self.bodies[name]) & (model.geom_contype > 0))
        axes = data.geom_xmat[geoms].reshape(-1, 3, 3)
        middle, halves = model.geom_aabb[geoms, :3], model.geom_aabb[geoms, 3:]
        return Obstacles(data.geom_xpos[geoms] + np.einsum("mij,mj->mi", axes, middle), axes, halves)

    def position(self, name: str) -> np.ndarray:
        """float64 [3], the origin of a thing, or the middle of a region."""
        data = self.simulator.data
        if name in self.bodies:
            return data.xpos[self.bodies[name]].copy()
        return data.site_xpos[self.simulator.model.site(name).id].copy()

    def is_done(self, subgoal: Subgoal) -> bool:
        """Whether that part of the goal holds now."""
        state = ["in" if subgoal.inside else "on", subgoal.thing, subgoal.place]
        return bool(self.simulator.env._eval_predicate(state))

    def is_between_fingers(self, name: str) -> bool:
        """Whether both fingers touch a thing."""
        touched = self._touching(name)
        return all(np.isin(side, touched).any() for side in self.fingers)

    def is_supported(self, name: str) -> bool:
        """Whether a thing touches anything but the fingers and itself."""
        touched = self._touching(name)
        robot = np.concatenate(self.fingers)
        return bool((~np.isin(touched, robot)).any())

    def _check_is_open(self, place: str) -> None:
        """Raises UserError for a place in a part that moves: a drawer, a microwave."""
        model = self.simulator.model
        body = -1 if place in self.bodies else model.site_bodyid[model.site(place).id]
        while body > 0 and body not in self.bodies.values():
            if model.body_jntnum[body]:
                raise UserError(f"there is no scripted expert for {place}: it would have to be opened first")
            body = model.body_parentid[body]

    def _touching(self, name: str) -> np.ndarray:
        """The geoms of others that touch a thing."""
        pairs = self.simulator.data.contact.geom
        is_own = self.owner[pairs] == self.bodies[name]
        return pairs[is_own.any(1) & ~is_own.all(1)][~is_own[is_own.any(1) & ~is_own.all(1)]]

    def _outline(self, body: int) -> dict[int, np.ndarray]:
        """Points on the visible meshes of a body and its parts, geom by geom, in the geom's own frame."""
        model = self.simulator.model
        geoms = np.flatnonzero((self.owner == body) & (model.geom_group == 1))
        found = {int(geom): _surface(model, geom) for geom in geoms}
        step = 1 + sum(map(len, found.values())) // POINTS
        return {geom: points[::step] for geom, points in found.items() if len(points)}


def _owner(model: mujoco.MjModel, body: int, known: set[int]) -> int:
    """The known body that `body` is part of, 0 if there is none."""
    while body and body not in known:
        body = model.body_parentid[body]
    return int(body)


def _surface(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """Vertices of a mesh, or corners of a box; nothing of other shapes."""
    kind = model.geom_type[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        return model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]].astype(np.float64)
    corners = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
    return corners * model.geom_size[geom] if kind == mujoco.mjtGeom.mjGEOM_BOX else np.zeros((0, 3))


def subgoal_of(state: list[str], things: set[str]) -> Subgoal:
    """The subgoal of one part of a goal. Raises UserError if it is not to bring one of `things` somewhere."""
    if state[0] not in PREDICATES or state[1] not in things:
        raise UserError(f"there is no scripted expert for the goal {' '.join(state)}: it only picks and places")
    return Subgoal(state[1], state[2], inside=state[0] == "in")
