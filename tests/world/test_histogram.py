"""The soft colour histogram: by hand, blind to places, and not to ghosts."""

import pytest
import torch

from wovr_lab.world.histogram import added_at_share, colour_histogram, histogram_distance


def plain(colour: tuple[float, float, float], side: int = 4) -> torch.Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, side, side)


def test_a_colour_on_a_bin_counts_there_and_one_between_two_is_shared_by_hand():
    counts = colour_histogram(plain((-1.0, 0.0, 1.0))).unflatten(1, (5, 5, 5))
    assert counts[0, 0, 2, 4] == 16 and counts.sum() == 16
    counts = colour_histogram(plain((-0.75, 0.0, 1.0))).unflatten(1, (5, 5, 5))  # halfway from bin 0 to bin 1
    assert counts[0, 0, 2, 4] == 8 and counts[0, 1, 2, 4] == 8


def test_every_pixel_counts_once_whatever_its_colour():
    pictures = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(colour_histogram(pictures).sum(1), torch.full((3,), 64.0))


def test_where_a_colour_is_does_not_matter_and_half_of_it_in_two_places_does():
    table, cube = (0.4, 0.3, 0.2), torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)
    here, there, ghosts = (plain(table, 8).clone() for _ in range(3))
    here[0, :, 1:3, 1:3] = cube
    there[0, :, 5:7, 4:6] = cube
    for row, column in ((1, 1), (5, 4)):
        patch = ghosts[0, :, row : row + 2, column : column + 2]
        patch.copy_((patch + cube) / 2)
    assert histogram_distance(there, here) == pytest.approx(0, abs=1e-4)
    assert histogram_distance(ghosts, here) > 4
    squares = [((one - here) ** 2).mean() for one in (there, ghosts)]
    assert squares[1] < squares[0]  # the squared error alone prefers two ghosts
    assert histogram_distance(there, here, regions=2) == pytest.approx(16)  # 4 pixels leave a tile, 4 enter one


def test_tiles_that_do_not_fill_the_picture_are_refused():
    with pytest.raises(ValueError, match="3 x 3 tiles"):
        histogram_distance(plain((0, 0, 0)), plain((0, 0, 0)), regions=3)


def test_the_added_loss_has_the_share_of_the_gradient_that_it_was_given():
    picture = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    main, added = (picture**2).sum(), 1000 * picture.abs().sum()
    alone = torch.autograd.grad(main, picture, retain_graph=True)[0]
    both = torch.autograd.grad(added_at_share(main, added, picture, 0.5), picture)[0]
    assert (both - alone).norm() == pytest.approx(0.5 * float(alone.norm()), rel=1e-4)
