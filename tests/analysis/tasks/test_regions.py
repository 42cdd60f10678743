import math

import numpy as np

from analysis.tasks.regions import RADIUS, plot_points, plot_regions, points_info, regions_info


def test_the_disc_has_half_of_the_squares_area():
    assert math.isclose(math.pi * RADIUS**2, 0.5)


def test_points_are_drawn_by_their_target():
    info = points_info([[0.5, 0.5, 1.0], [0.1, 0.9, 0.0], [0.4, 0.6, 1.0]])
    axes = plot_points(info).axes[0]
    drawn = {c.get_label(): c.get_offsets().tolist() for c in axes.collections}
    assert drawn == {"outside (0)": [[0.1, 0.9]], "inside (1)": [[0.5, 0.5], [0.4, 0.6]]}


def test_regions_lie_where_the_points_do():
    """The first row of the predictions is at the bottom: y increases with the row index."""
    inside = np.zeros((4, 4))
    inside[0, 3] = 1.0  # x near 1, y near 0
    image = plot_regions([regions_info("net", inside.tolist())]).axes[0].images[0]
    assert image.origin == "lower"
    assert list(image.get_extent()) == [0, 1, 0, 1]
    assert image.get_array()[0, 3] == 1.0
