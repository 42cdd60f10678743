"""Tags of any length are read back unchanged."""

import pytest

from foldsweep.names import TAG_CONFIG, tags_of, whole_tag


@pytest.mark.parametrize("length", [0, 1, 4000, 4001, 8000, 8001, 500_000])
def test_state_of_any_length_is_read_back_whole(length: int) -> None:
    value = "".join(chr(32 + i % 90) for i in range(length))
    tags = tags_of(TAG_CONFIG, value)
    assert all(len(part) <= 4000 for part in tags.values())
    assert whole_tag({**tags, f"{TAG_CONFIG}.other": "x"}, TAG_CONFIG) == value


def test_a_value_that_looks_like_parts_is_itself() -> None:
    assert whole_tag(tags_of(TAG_CONFIG, "in parts: 2"), TAG_CONFIG) == "in parts: 2"


def test_a_missing_part_is_an_error_and_a_missing_tag_is_none() -> None:
    tags = tags_of(TAG_CONFIG, "x" * 9000)
    del tags[f"{TAG_CONFIG}.2"]
    with pytest.raises(ValueError, match=r"tag foldsweep.config.2 is missing"):
        whole_tag(tags, TAG_CONFIG)
    assert whole_tag({}, TAG_CONFIG) is None
