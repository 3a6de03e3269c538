"""The fast renderer: what it leaves out of meshes, and that its pictures look nearly like the package's own."""

from __future__ import annotations

import numpy as np
import pytest

from wovr_lab.real.libero.render import FAST, PACKAGE, Renderer, merged_faces


def test_vertices_of_a_cell_become_one_and_triangles_that_collapse_or_repeat_go():
    vertices = np.array([[0, 0, 0], [0.1, 0, 0], [1, 0, 0], [0, 1, 0], [1.1, 0, 0]])
    faces = np.array([[0, 2, 3], [0, 1, 2], [3, 1, 4], [3, 0, 2]])
    merged, kept = merged_faces(vertices, faces, cell=0.5)
    assert kept.tolist() == [0]  # the second collapses, the others are the first again, from another corner
    assert merged.tolist() == [[0, 2, 3]]


def test_the_other_side_of_a_triangle_is_another_triangle():
    vertices, faces = np.eye(3), np.array([[0, 1, 2], [0, 2, 1]])
    assert len(merged_faces(vertices, faces, cell=0.1)[0]) == 2


@pytest.mark.libero
def test_fast_pictures_look_nearly_like_the_packages_own(bowl):
    bowl.reset(seed=0)
    model, data = bowl.simulator.model, bowl.simulator.data
    pictures = [Renderer(model, "agentview", 128, settings).draw(data).astype(int) for settings in (PACKAGE, FAST)]
    difference = np.abs(pictures[0] - pictures[1])
    assert difference.mean() < 4 and (difference.max(-1) > 32).mean() < 0.04
