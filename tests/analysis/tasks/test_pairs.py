import numpy as np
import pytest

from analysis.tasks.pairs import pairs_info, plot_pairs, title_of
from tests.refusals import text

PAIR = {
    "images": np.full((2, 14, 14), 7).tolist(),
    "digits": [3, 5],
    "target": 1,
    "probability": 0.07,
    "read": [[3, 0.99], [6, 0.61]],
}
OTHER = {**PAIR, "digits": [7, 2], "target": 0, "probability": 0.8}


def evaluation(*pairs, wrong=None):
    return {
        "first_round": {"pairs": 100, "wrong": wrong or len(pairs), "wrong_pairs": list(pairs)}
    }


def test_a_title_says_what_was_asked_answered_and_read():
    assert title_of(PAIR) == "3 ≤ 5? said no, 0.93\nread 3 (0.99), 6 (0.61)"
    assert title_of({k: v for k, v in OTHER.items() if k != "read"}) == "7 ≤ 2? said yes, 0.80"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (2, text("task-pairs.wrong", wrong=2, pairs=100)),
        (
            9,
            text(
                "task-pairs.surest", number=2, wrong=text("task-pairs.wrong", wrong=9, pairs=100)
            ),
        ),
    ],
)
def test_it_is_said_of_how_many_these_are(wrong, said):
    assert pairs_info("net", evaluation(PAIR, OTHER, wrong=wrong)).summary == f"net: {said}"


def test_every_pair_has_a_panel_of_its_own():
    figure = plot_pairs(pairs_info("net", evaluation(*[PAIR] * 7)))
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 7
    image = drawn[0].images[0].get_array()
    assert image.shape == (14, 14 + 2 + 14)
    assert image[0, 0] == 7
    assert image[0, 14] == 0
    assert drawn[0].get_title() == title_of(PAIR)
