"""Two of LIBERO's tasks, each built once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

SOUP = "libero_object/pick_up_the_alphabet_soup_and_place_it_in_the_basket"
BOWL = "libero_spatial/pick_up_the_black_bowl_on_the_stove_and_place_it_on_the_plate"


@pytest.fixture(scope="session")
def soup() -> Iterator[object]:
    """One task of Object at 64 pixels; its simulator is built once."""
    from wovr_lab.real.libero.env import LiberoEnv

    env = LiberoEnv(SOUP, 64, extras=True)
    yield env
    env.close()


@pytest.fixture(scope="session")
def bowl() -> Iterator[object]:
    """One task of Spatial, with a stove and a cabinet that stand a little elsewhere each time."""
    from wovr_lab.real.libero.env import LiberoEnv

    env = LiberoEnv(BOWL, 64)
    yield env
    env.close()
