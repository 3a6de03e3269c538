"""A loss that asks which colours are there, not where: the soft colour histogram (what keeps cubes from fading).

In: pictures. Out: counts of colours, and the distance of two pictures' counts. Squared errors draw the mean of two
hypotheses, a cube carried and a cube left behind, each half transparent; what is half transparent has wrong colours
wherever it is, so this loss says so. Not in the paper; measured in LOG.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 5  # a channel, with triangular weights that add up to one for every pixel
TINY = 1e-12


def colour_histogram(pictures: Tensor, bins: int = BINS) -> Tensor:
    """[N, 3, H, W] in [-1, 1] -> [N, bins ** 3]: how many pixels have each colour, shared between neighbouring bins."""
    centres = torch.linspace(-1, 1, bins, device=pictures.device)
    away = (pictures.clamp(-1, 1).flatten(2)[..., None] - centres).abs()  # [N, 3, H W, bins]
    red, green, blue = (1 - away * (bins - 1) / 2).clamp(min=0).unbind(1)
    both = (red[..., :, None] * green[..., None, :]).flatten(2)  # [N, H W, bins ** 2]
    return (both.mT @ blue).flatten(1)


def histogram_distance(found: Tensor, wanted: Tensor, regions: int = 1) -> Tensor:
    """Mean over pictures [N, 3, H, W] of the L1 distance of their histograms, in pixels; with `regions` > 1 taken in
    `regions` x `regions` tiles, which says roughly where, too. Raises ValueError if tiles do not fill the picture."""
    tiles = [_tiles(pictures, regions) for pictures in (found, wanted)]
    difference = colour_histogram(tiles[0]) - colour_histogram(tiles[1])
    return difference.abs().sum(1).mean() * regions**2


def _tiles(pictures: Tensor, regions: int) -> Tensor:
    """[N, 3, H, W] -> [N * regions ** 2, 3, H / regions, W / regions]"""
    if pictures.shape[-1] % regions:
        raise ValueError(f"{regions} x {regions} tiles do not fill a picture of {pictures.shape[-1]} pixels")
    side = pictures.shape[-1] // regions
    rows = pictures.unflatten(2, (regions, side)).unflatten(4, (regions, side))  # [N, 3, rows, side, columns, side]
    return rows.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def added_at_share(main: Tensor, added: Tensor, at: Tensor, share: float) -> Tensor:
    """main + c added, c such that the second one's gradient at the picture `at` is `share` times as long as the
    first one's: two losses in different units, weighed by what they do."""
    main_gradient = torch.autograd.grad(main, at, retain_graph=True)[0].norm()
    added_gradient = torch.autograd.grad(added, at, retain_graph=True)[0].norm()
    return main + share * main_gradient / (added_gradient + TINY) * added
