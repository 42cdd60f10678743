import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from foldsweep.choices import encoded, find_choice, is_container, tupled
from tests.refusals import text

plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(-9, 9), st.text(max_size=5)
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(values)
def test_a_choice_is_what_it_was_after_json_and_yaml(value: object) -> None:
    text = json.dumps(value)
    assert tupled(json.loads(text)) == value
    assert tupled(yaml.safe_load(yaml.safe_dump(json.loads(text)))) == value


@given(st.lists(values, min_size=1, max_size=4))
def test_a_choice_is_found_again_by_its_value(choices: list[object]) -> None:
    texts = [encoded(value) for value in choices]
    for value, stored in zip(choices, texts, strict=True):
        assert not is_container(stored)
        assert find_choice(texts, json.loads(json.dumps(value))) == stored


def test_a_choice_is_found_where_whole_numbers_were_fractions() -> None:
    assert find_choice(["[32.0, 64]", "a"], (32, 64)) == "[32.0, 64]"


def test_what_is_no_choice_is_refused() -> None:
    said = text("choices.none-of", value=(1, 2), known="'[1]', '[1, ', 'a'")
    with pytest.raises(ValueError, match=re.escape(said)):
        find_choice(["[1]", "[1, ", "a"], (1, 2))
