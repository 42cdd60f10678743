from unittest.mock import Mock

import pytest
from pyarrow.fs import AwsStandardS3RetryStrategy, FileSystem, S3FileSystem

from foldsweep.files import joined
from trainables import stores
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


PLACE = "endpoint_override=127.0.0.1:9&scheme=http&region=eu"


@pytest.mark.parametrize(
    ("uri", "same"),
    [
        (f"s3://bucket/path?{PLACE}", {}),
        (f"s3://bucket/path?{PLACE}&allow_bucket_creation=True", {"allow_bucket_creation": True}),
        (f"s3://bucket/path?{PLACE}&allow_bucket_deletion=0", {}),
        (f"s3://bucket/path?{PLACE}&tls_ca_file_path=/a%20b+c", {"tls_ca_file_path": "/a b c"}),
        (f"s3://k%2F:s%2F@bucket/path?{PLACE}", {"access_key": "k/", "secret_key": "s/"}),
    ],
)
def test_a_silent_service_is_not_waited_for_as_long_as_the_library_would(uri, same, monkeypatch):
    """The filesystem keeps all options of the URI, and has timeouts and few attempts."""
    monkeypatch.setattr(stores.pafs, "AwsStandardS3RetryStrategy", tries := Mock())
    tries.return_value = AwsStandardS3RetryStrategy()
    filesystem, path = located(uri)
    place = {"endpoint_override": "127.0.0.1:9", "scheme": "http", "region": "eu"}
    limits = {"connect_timeout": 5, "request_timeout": 10}
    assert filesystem == S3FileSystem(**place, **limits, **same)
    assert filesystem != S3FileSystem(**place, **same)
    assert path == "bucket/path"
    tries.assert_called_once_with(max_attempts=2)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_service_that_the_environment_names_has_limits_too(name, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8")
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    place = {"endpoint_override": "http://127.0.0.1:9", "region": "eu"}
    expected = S3FileSystem(**place, connect_timeout=5, request_timeout=10)
    assert located(f"s3://{name.lower()}/path?region=eu")[0] == expected


def test_options_that_only_a_uri_can_have_are_kept():
    uri = f"s3://bucket/path?{PLACE}&tls_verify_certificates=false"
    assert located(uri) == FileSystem.from_uri(uri)


def test_a_store_says_nothing_to_programmers():
    said = "Bucket 'b' not found. To create buckets, enable the allow_bucket_creation option."
    assert store_says(OSError(said)) == "Bucket 'b' not found"
