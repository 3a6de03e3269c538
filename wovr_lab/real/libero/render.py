"""Pictures of a LIBERO scene by MuJoCo's OpenGL renderer: the package's own settings, or faster ones that look nearly
the same.

In: a model and its data. Out: uint8 [H, W, 3], turned by 180 degrees against what OpenGL reads, as everyone who trains
on LIBERO turns them (paper section 6). On a CPU the cost is in the number of triangles: scanned objects have up to
66,000, far more than pixels. The fast settings merge vertices that lie closer together than a fraction of a pixel.
"""

from __future__ import annotations

import atexit
import copy
from dataclasses import dataclass

import mujoco
import numpy as np

from wovr_lab.real.libero.gl import make_context
from wovr_lab.real.libero.views import EVERYTHING, Window

VIEW = 0.9  # metres that agentview sees across the table, about
NEAR = {"robot0_eye_in_hand": 0.25}  # of other cameras that come closer
SMALL_MESH = 500  # triangles; smaller ones stay as they are


@dataclass(frozen=True)
class RenderSettings:
    """What decides a picture's look and price."""

    name: str
    shadow_map: int  # pixels a side, 0 for none
    multisampling: int  # samples a pixel, 0 for one
    reflection: bool
    merge: float  # vertices closer than so many pixels become one; 0 keeps all
    texture: int  # pixels a side of the largest texture; 4096 ones take 90 MB each, where there is no GPU


PACKAGE = RenderSettings("package", shadow_map=4096, multisampling=4, reflection=True, merge=0.0, texture=4096)
FAST = RenderSettings("fast", shadow_map=0, multisampling=4, reflection=False, merge=0.7, texture=1024)


class Renderer:
    """One camera, or a window of what it sees, at one resolution; draws the data it is given."""

    def __init__(
        self,
        model: mujoco.MjModel,
        camera: str,
        resolution: int,
        settings: RenderSettings,
        window: Window = EVERYTHING,
    ):
        self.model, self.resolution, self.window = model, resolution, window
        drawn = _thinned(model, settings.merge * NEAR.get(camera, VIEW) * window.side / resolution)
        _shrink_textures(drawn, settings.texture)
        drawn.vis.quality.shadowsize, drawn.vis.quality.offsamples = settings.shadow_map, settings.multisampling
        drawn.vis.global_.offwidth = drawn.vis.global_.offheight = resolution
        self.gl = make_context(resolution, resolution)
        self.gl.make_current()
        self.context = mujoco.MjrContext(drawn, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        self.scene = mujoco.MjvScene(model, maxgeom=1000)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = settings.shadow_map > 0
        self.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = settings.reflection
        self.options, self.view = mujoco.MjvOption(), mujoco.MjvCamera()
        self.options.geomgroup[0] = 0  # collision shapes
        self.view.type, self.view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(camera).id

    def draw(self, data: mujoco.MjData) -> np.ndarray:
        """uint8 [H, W, 3]; positions in `data` must be up to date (`mj_fwdPosition`)."""
        side = self.resolution
        rectangle, picture = mujoco.MjrRect(0, 0, side, side), np.empty((side, side, 3), np.uint8)
        self.gl.make_current()
        everything, nothing = mujoco.mjtCatBit.mjCAT_ALL, mujoco.MjvPerturb()
        mujoco.mjv_updateScene(self.model, data, self.options, nothing, self.view, everything, self.scene)
        centre, bottom, top = self.window.frustum
        for eye in self.scene.camera:  # two, of which the mean is drawn
            half = eye.frustum_top
            eye.frustum_center, eye.frustum_bottom, eye.frustum_top = centre * half, bottom * half, top * half
        mujoco.mjr_render(rectangle, self.scene, self.context)
        mujoco.mjr_readPixels(picture, None, rectangle, self.context)
        return np.ascontiguousarray(picture[::-1, ::-1])

    def close(self) -> None:
        """Gives the context back."""
        self.gl.make_current()
        self.context.free()
        atexit.unregister(self.gl.free)
        self.gl.free()


def _thinned(model: mujoco.MjModel, cell: float) -> mujoco.MjModel:
    """A copy of the model for drawing, whose meshes have one vertex a cell of `cell` metres. Physics keeps its own."""
    drawn = copy.copy(model)
    for mesh in range(model.nmesh if cell > 0 else 0):
        first, count = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        if count < SMALL_MESH:
            continue
        vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
        faces, kept = merged_faces(vertices, model.mesh_face[first : first + count], cell)
        last = first + len(faces)
        drawn.mesh_face[first:last] = faces
        for name in ("mesh_facenormal", "mesh_facetexcoord"):  # corners keep their own normal and texture
            getattr(drawn, name)[first:last] = getattr(model, name)[first : first + count][kept]
        drawn.mesh_facenum[mesh] = len(faces)
    return drawn


def _shrink_textures(model: mujoco.MjModel, largest: int) -> None:
    """Halves square textures until they have `largest` pixels a side or fewer, as their mipmaps would."""
    for texture in range(model.ntex):
        first, channels = model.tex_adr[texture], model.tex_nchannel[texture]
        side = int(model.tex_width[texture])
        if side != model.tex_height[texture]:
            continue  # the six sides of a cube, one below the other
        pixels = model.tex_data[first : first + side * side * channels].reshape(side, side, channels)
        while side > largest and side % 2 == 0:
            side //= 2
            pixels = np.round(pixels.reshape(side, 2, side, 2, channels).mean((1, 3))).astype(np.uint8)
        model.tex_width[texture] = model.tex_height[texture] = side
        model.tex_data[first : first + pixels.size] = pixels.ravel()


def merged_faces(vertices: np.ndarray, faces: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangles int [f, 3] after all vertices [v, 3] of a cubic cell have become one, and which of `faces` they were.

    Triangles that collapse, and those drawn already, are left out (vertex clustering, Rossignac and Borrel 1993).
    """
    _, representative, cells = np.unique(
        np.round(vertices / cell).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    corners = cells.reshape(-1)[faces]
    a, b, c = corners.T
    kept = np.flatnonzero((a != b) & (b != c) & (a != c))
    turns = corners[kept].argmin(1)[:, None]  # the same triangle may begin at another corner
    canonical = np.take_along_axis(corners[kept], (turns + np.arange(3)) % 3, 1)
    _, distinct = np.unique(canonical, axis=0, return_index=True)
    kept = kept[np.sort(distinct)]
    return representative[corners[kept]], kept
