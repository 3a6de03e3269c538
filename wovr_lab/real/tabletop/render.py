"""Pictures of the tabletop without OpenGL: a ray a pixel (or four, averaged) by `mujoco.mj_multiRay`, then shading.

In: MuJoCo data after kinematics. Out: uint8 [H, W, 3], upright. The table is a plane that never moves, so its hit
points and colours are prepared once; rays only look for the hand, the cubes and the plate, and only where these can be
in the picture. Shadows lie straight below things, because that is what shows height from above.
"""

from __future__ import annotations

import mujoco
import numpy as np

from wovr_lab.real.tabletop.scene import CUBE_HALF, TABLE_HALF, ZONE_HALF

CAMERA, LOOK_AT, FIELD_OF_VIEW = np.array([0.46, -0.012, 0.52]), np.array([-0.025, -0.012, 0.035]), 29.5
HALF_VIEW = np.tan(np.radians(FIELD_OF_VIEW) / 2)
LIGHT = np.array([0.35, 0.25, 0.9])
AMBIENT, SHADOW = 0.62, 0.6
COLOURS: dict[str, tuple[float, float, float]] = {
    "plate": (0.95, 0.95, 0.92),
    "red": (0.85, 0.10, 0.10),
    "blue": (0.12, 0.25, 0.85),
    "green": (0.10, 0.62, 0.16),
    "palm": (0.25, 0.25, 0.28),
    "wrist": (0.35, 0.35, 0.38),
    "right_finger": (0.10, 0.55, 0.45),
    "left_finger": (0.90, 0.70, 0.10),
}
TABLE, CHECKER, ZONE = (0.72, 0.66, 0.58), 0.035, (0.62, 0.52, 0.80)
CHECKER_SIDE = 0.05
BACKGROUND = (0.30, 0.36, 0.42)
SEEN_GROUPS = np.array([[1], [0], [0], [0], [0], [0]], np.uint8)  # geom groups that rays see: all but the table's
SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


class Renderer:
    """Draws one model at one resolution; rays and table are prepared once. Not shared between threads."""

    def __init__(self, model: mujoco.MjModel, resolution: int):
        self.model, self.resolution = model, resolution
        self.oversampling = 1 if 64 <= resolution < 128 else 2  # rays a pixel side
        self.side = resolution * self.oversampling
        self.axes = camera_axes()
        self.rays = _camera_rays(self.axes, self.side)  # float64 [R, 3]
        self.table_distance, self.table_points = _table_hits(self.rays)
        self.bare_table = _table_colours(self.table_distance, self.table_points)  # float32 [R, 3]
        self.zone, self.painted_table = None, self.bare_table
        self.bodies = {name: model.body(name).id for name in ("front", "back", "hand")}
        self.geom_names = [model.geom(index).name for index in range(model.ngeom)]
        self.things = np.array([index for index, name in enumerate(self.geom_names) if name != "table"])
        self.corners = model.geom_aabb[self.things, None, 3:] * SIGNS  # float64 [G, 8, 3], in the things' own axes
        self.palettes = {name: _palette(self.geom_names, name) for name in COLOURS}

        self.of_hand = model.body_rootid[model.geom_bodyid] == self.bodies["hand"]  # a hand casts no shadow on itself

    def draw(self, data: mujoco.MjData, back_cube: str, zone: np.ndarray | None) -> np.ndarray:
        """The picture uint8 [H, W, 3]; `back_cube` is the back row's colour, `zone` [2] a painted zone's centre."""
        image = self._table(data, zone)
        hit, geoms, points, normals = self._cast(data)
        image[hit] = self._shaded(data, geoms, points, normals, back_cube)
        image = image.reshape(self.side, self.side, 3)
        if self.oversampling == 2:
            image = image[0::2] + image[1::2]
            image = (image[:, 0::2] + image[:, 1::2]) / 4
        return (image * 255 + 0.5).astype(np.uint8)

    def _cast(self, data: mujoco.MjData) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The rays that hit a thing before the table: index [n], geom [n], point [n, 3] and normal [n, 3]."""
        near = self._near_things(data)
        rays, count = self.rays[near], len(near)
        geom, distance, normal = np.zeros((count, 1), np.int32), np.zeros((count, 1)), np.zeros((3 * count, 1))
        mujoco.mj_multiRay(
            self.model, data, CAMERA[:, None], rays.reshape(-1, 1), SEEN_GROUPS, True, -1,
            geom, distance, normal, count, 10.0,
        )  # fmt: skip
        hit = np.flatnonzero((geom[:, 0] >= 0) & (distance[:, 0] < self.table_distance[near]))
        return near[hit], geom[hit, 0], CAMERA + rays[hit] * distance[hit], normal.reshape(-1, 3)[hit]

    def _near_things(self, data: mujoco.MjData) -> np.ndarray:
        """Indices of the rays that can hit something: those inside the rectangles around the things' pictures."""
        turned = self.corners @ data.geom_xmat[self.things].reshape(-1, 3, 3).transpose(0, 2, 1)
        right, down, depth = np.moveaxis((data.geom_xpos[self.things][:, None] + turned - CAMERA) @ self.axes, 2, 0)
        scale = self.side / 2 / HALF_VIEW / np.maximum(depth, 1e-3)  # pixels a metre
        columns, rows = right * scale + self.side / 2, down * scale + self.side / 2
        low, high = np.stack([columns, rows], 1).min(2), np.stack([columns, rows], 1).max(2)
        edges = np.concatenate([np.floor(low), np.ceil(high)], 1)[depth.min(1) > 0]  # what is behind is out of sight
        near = np.zeros((self.side, self.side), bool)
        for left, top, right_end, bottom in np.clip(edges, 0, self.side).astype(int).tolist():
            near[top:bottom, left:right_end] = True
        return np.flatnonzero(near)

    def _table(self, data: mujoco.MjData, zone: np.ndarray | None) -> np.ndarray:
        """float32 [R, 3]: the table alone with its painted zone, and the shadows of what stands over it."""
        if zone is None:
            image = self.bare_table.copy()
        else:
            if self.zone is None or (self.zone != zone).any():
                self.zone, self.painted_table = zone.copy(), self._paint(zone)
            image = self.painted_table.copy()
        image[self._shadowed(data, self.table_points, np.zeros(1))] *= SHADOW
        return image

    def _paint(self, zone: np.ndarray) -> np.ndarray:
        image = self.bare_table.copy()
        x, y = np.abs(self.table_points - zone.astype(np.float32)[:, None])
        image[(x <= ZONE_HALF[0]) & (y <= ZONE_HALF[1])] = ZONE
        return image

    def _shaded(
        self, data: mujoco.MjData, geoms: np.ndarray, points: np.ndarray, normals: np.ndarray, back_cube: str
    ) -> np.ndarray:
        """Colours [n, 3] of the points hit."""
        light = AMBIENT + (1 - AMBIENT) * np.clip(normals @ LIGHT, 0, 1)
        shadow = self._shadowed(data, points[:, :2].T.astype(np.float32), points[:, 2])
        light[shadow & ~self.of_hand[geoms]] *= SHADOW
        return np.clip(self.palettes[back_cube][geoms] * light[:, None], 0, 1)

    def _shadowed(self, data: mujoco.MjData, points: np.ndarray, height: np.ndarray) -> np.ndarray:
        """bool [R]: points float32 [2, R] at height [R] (or [1]) with the palm or a cube straight above them."""
        hand, palm_height = self.bodies["hand"], 0.052
        shadow = _under(data, hand, points, (0.014, 0.06)) & (height < data.xpos[hand, 2] + palm_height)
        for name in ("front", "back"):
            cube = self.bodies[name]
            shadow |= _under(data, cube, points, (CUBE_HALF + 0.003,) * 2) & (height < data.xpos[cube, 2] - 0.022)
        return shadow


def _palette(geom_names: list[str], back_cube: str) -> np.ndarray:
    """float64 [geoms, 3]: what each geom is painted with."""
    cubes = {"front": "red", "back": back_cube}
    return np.array([COLOURS.get(cubes.get(name, name), TABLE) for name in geom_names])


def _under(data: mujoco.MjData, body: int, points: np.ndarray, half: tuple[float, float]) -> np.ndarray:
    """bool [R]: points float32 [2, R] in the body's footprint, a rectangle of half sizes `half` turned with the body.

    It turns with the body's flattest axis, so that a cube that has tipped over still casts a square.
    """
    matrix = data.xmat[body].reshape(3, 3)
    flattest = int(np.abs(matrix[2]).round(6).argmin())
    cosine, sine = matrix[:2, flattest] / np.linalg.norm(matrix[:2, flattest])
    turn = np.array([[cosine, sine], [-sine, cosine]], np.float32)
    x, y = np.abs(turn @ (points - data.xpos[body, :2].astype(np.float32)[:, None]))
    return (x < half[0]) & (y < half[1])


def camera_axes() -> np.ndarray:
    """float64 [3, 3], columns right (+y of the world), down, forward."""
    forward = (LOOK_AT - CAMERA) / np.linalg.norm(LOOK_AT - CAMERA)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], 1)


def _camera_rays(axes: np.ndarray, side: int) -> np.ndarray:
    """Unit directions float64 [side * side, 3], row by row from the upper left."""
    right, down, forward = axes.T
    across = ((np.arange(side) + 0.5) / side * 2 - 1) * HALF_VIEW
    u, v = np.meshgrid(across, across)
    rays = forward + u[..., None] * right + v[..., None] * down
    return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3)


def _table_hits(rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance float64 [R] to the table's surface z = 0 (infinite beside it), and the points float32 [2, R] there."""
    distance = CAMERA[2] / np.maximum(-rays[:, 2], 1e-3)
    points = CAMERA[:2] + rays[:, :2] * distance[:, None]
    distance[(np.abs(points) > TABLE_HALF).any(1)] = np.inf
    return distance, np.ascontiguousarray(points.T, np.float32)


def _table_colours(distance: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float32 [R, 3]: a faint checker, so that people see depth; the background beside the table."""
    odd = np.floor(points / CHECKER_SIDE).sum(0) % 2
    colours = np.array(TABLE) * (1 + CHECKER * (odd - 0.5))[:, None]
    colours[~np.isfinite(distance)] = BACKGROUND
    return colours.astype(np.float32)
