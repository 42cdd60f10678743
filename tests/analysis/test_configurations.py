"""Sentences on the configurations of the best row's sweep."""

import pytest

from analysis.comparison import Choice
from analysis.configurations import choice_sentences
from tests.analysis.compared import LARGE, ONE, OWN, SMALL, choice, comparison, trials
from tests.refusals import text


def undistinguished(these: str) -> str:
    values = {"these": these, "sweep": "s/a", "best": "s/a trial 0"}
    return text("words.undistinguished", **values, basis=OWN)


def none_distinguished(number: int) -> str:
    return text(
        "words.none-distinguished",
        configurations=f"{number} complete configurations",
        sweep="s/a",
        basis=OWN,
    )


def best_of_two(exception: str) -> str:
    return text(
        "words.better-than-all",
        configurations="2 complete configurations",
        sweep="s/a",
        best="s/a trial 0",
        basis=OWN,
        exception=exception,
    )


NONE_EQUIVALENT = text("words.none-equivalent", limit="1.0 percentage point")
NEGLIGIBLY = text("words.negligibly-than-some")


@pytest.mark.parametrize(
    ("of", "said"),
    [
        pytest.param(choice(trials(LARGE), 1, 1), [ONE], id="one complete trial"),
        pytest.param(
            choice(trials(LARGE), 1, 1, in_finals=True),
            [text("words.one-finalist", sweep="s/a")],
            id="one finalist",
        ),
        pytest.param(
            choice(trials(LARGE, SMALL), 1, 1),
            [best_of_two(""), NONE_EQUIVALENT],
            id="the best is better than every other",
        ),
        pytest.param(
            choice(trials(LARGE, 9000, SMALL), 3, 1),
            [none_distinguished(3)],
            id="lack of power: nothing is distinguished and nothing is equivalent",
        ),
        pytest.param(
            choice(trials(LARGE, SMALL), 2, 1),
            [none_distinguished(2)],
            id="two trials",
        ),
        pytest.param(
            choice(trials(SMALL, LARGE), 2, 2),
            [
                undistinguished(text("words.all-others", others="complete configuration")),
                text(
                    "words.one-equivalent",
                    limit="1.0 percentage point",
                    least=text("words.best-is-smallest"),
                ),
            ],
            id="the other one is equivalent",
        ),
        pytest.param(
            choice(trials(LARGE, 9000, SMALL), 2, 1),
            [
                undistinguished(
                    text("words.some-others", number=1, others="2 complete configurations")
                ),
                NONE_EQUIVALENT,
            ],
            id="one of two is not distinguished",
        ),
        pytest.param(
            choice(trials(LARGE, 9000, SMALL, 100), 3, 3),
            [
                undistinguished(
                    text("words.some-others", number=2, others="3 complete configurations")
                ),
                text(
                    "words.several-equivalent",
                    number=2,
                    limit="1.0 percentage point",
                    least=text(
                        "words.smallest",
                        trial="s/a trial 2",
                        parameters="4,380",
                        best_parameters="44,758",
                    ),
                ),
            ],
            id="a smaller one is equivalent",
        ),
        pytest.param(
            choice(trials(SMALL, LARGE), 1, 2),
            [
                best_of_two(NEGLIGIBLY),
                text(
                    "words.one-equivalent",
                    limit="1.0 percentage point",
                    least=text("words.best-is-smallest"),
                ),
            ],
            id="negligibly better, and the smallest itself",
        ),
        pytest.param(
            choice(trials(0, 0, seconds=20.0), 1, 2),
            [
                best_of_two(NEGLIGIBLY),
                text(
                    "words.one-equivalent",
                    limit="1.0 percentage point",
                    least=text(
                        "words.fastest", trial="s/a trial 1", seconds="10", best_seconds="20"
                    ),
                ),
            ],
            id="estimators have no parameters: the fastest",
        ),
    ],
)
def test_what_is_said_of_the_configurations(of: Choice, said: list[str]) -> None:
    assert choice_sentences(comparison(of=of)) == said
