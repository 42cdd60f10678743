import numpy as np

from analysis.tasks.heatmaps import heatmap_info, plot_heatmaps


def counts(**cells):
    table = np.zeros((10, 10), dtype=int)
    for cell, value in cells.items():
        table[int(cell[1]), int(cell[2])] = value
    return table.tolist()


def test_errors_are_shares_of_the_pairs_occurrences():
    info = heatmap_info("net", counts(p37=1, p44=3), counts(p37=4, p44=3, p10=2))
    assert info.share[3, 7] == 0.25
    assert info.share[4, 4] == 1.0
    assert info.share[1, 0] == 0.0


def test_a_pair_that_never_occurs_is_left_blank():
    info = heatmap_info("net", counts(), counts(p10=2))
    assert np.isnan(info.share[0, 1])
    assert np.isnan(info.share).sum() == 99


def test_heat_maps_share_one_scale():
    low = heatmap_info("low", counts(p10=1), counts(p10=10))
    high = heatmap_info("high", counts(p10=5), counts(p10=10))
    images = [image for axes in plot_heatmaps([low, high]).axes[:2] for image in axes.images]
    assert [image.get_clim() for image in images] == [(0, 50), (0, 50)]
