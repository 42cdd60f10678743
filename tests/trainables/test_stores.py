import pytest

from foldsweep.files import joined
from trainables.stores import located, store_says


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("runs/a", "runs/a/b/c"),
        ("/what?/a/", "/what?/a/b/c"),
        ("s3://bucket/path/", "s3://bucket/path/b/c"),
        (
            "s3://bucket/path?endpoint_override=127.0.0.1:9000&scheme=http",
            "s3://bucket/path/b/c?endpoint_override=127.0.0.1:9000&scheme=http",
        ),
    ],
)
def test_places_are_joined_before_the_options_of_a_uri(place, expected):
    assert joined(place, "b", "c") == expected


def test_a_uri_with_options_is_located_where_it_says(tmp_path):
    uri = "s3://bucket/path?endpoint_override=127.0.0.1:9&scheme=http&region=eu"
    filesystem, path = located(joined(uri, "a"))
    assert (filesystem.type_name, path, filesystem.region) == ("s3", "bucket/path/a", "eu")
    assert located(tmp_path.as_uri())[1] == str(tmp_path)
    assert located(str(tmp_path))[1] == str(tmp_path)


def test_a_silent_service_is_not_waited_for_as_long_as_the_library_would(tmp_path):
    filesystem, _ = located("s3://bucket/path?endpoint_override=127.0.0.1:9&scheme=http")
    _, (options,) = filesystem.__reduce__()
    assert (options["connect_timeout"], options["request_timeout"]) == (5, 10)
    assert (options["endpoint_override"], options["scheme"]) == ("127.0.0.1:9", "http")


def test_a_store_says_nothing_to_programmers():
    said = "Bucket 'b' not found. To create buckets, enable the allow_bucket_creation option."
    assert store_says(OSError(said)) == "Bucket 'b' not found"
