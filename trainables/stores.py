"""Folders and object stores: the places that a path or a URI such as `s3://bucket/path` names."""

import os
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from foldsweep.errors import first_line

STORE_ERRORS: tuple[type[Exception], ...] = (OSError, pa.ArrowException)
"""Exceptions of a store that cannot be reached, is full, or refuses a request; also of a wrong
URI."""

CONNECT_WITHIN_S = 5
ANSWER_WITHIN_S = 10
"""Seconds that an S3 service may send nothing."""
ATTEMPTS = 2
SWITCHES = {"allow_delayed_open", "allow_bucket_creation", "allow_bucket_deletion"}
S3_OPTIONS = SWITCHES | {
    *("region", "scheme", "endpoint_override", "tls_ca_file_path", "access_key", "secret_key")
}
"""Options that both an S3 URI and pyarrow's constructor accept."""


def store_says(error: BaseException) -> str:
    """Why a store refused a request, without pyarrow's advice to programmers."""
    return first_line(error).partition(" To create buckets, enable")[0].rstrip(".")


def located(place: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of a path or a URI, and the path in it.

    Raises:
        OSError: If the store cannot be reached, or has no such bucket.
        ValueError: If the URI is of an unknown kind.
    """
    if "://" not in place:
        return pafs.LocalFileSystem(), place
    filesystem, path = _remote(place)
    return filesystem, path.rstrip("/")


@cache
def _remote(uri: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of a URI, and the path in it.

    Cached, since each new connection to a store first asks for its bucket. Connections to S3 get
    timeouts, for which a URI has no options: a request to a silent service would wait for minutes.
    Callers that can wait try again. A URI with options that the constructor lacks, such as
    `tls_verify_certificates`, gets no timeouts.
    """
    filesystem, path = pafs.FileSystem.from_uri(uri)  # raises for unknown URIs
    if isinstance(filesystem, pafs.S3FileSystem):
        options = {"region": filesystem.region} | _s3_options(uri)
        if options.keys() <= S3_OPTIONS and pafs.S3FileSystem(**options) == filesystem:
            filesystem = pafs.S3FileSystem(
                **options,
                connect_timeout=CONNECT_WITHIN_S,
                request_timeout=ANSWER_WITHIN_S,
                retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            )
    return filesystem, path


def _s3_options(uri: str) -> dict[str, Any]:
    """Options of an S3 URI and of the environment, as pyarrow's constructor takes them."""
    given = urlsplit(uri)
    options: dict[str, Any] = {}
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        if name in os.environ:
            options["endpoint_override"] = os.environ[name]
    options |= parse_qsl(given.query)
    for name in options.keys() & SWITCHES:
        options[name] = options[name].lower() in ("true", "1")
    if given.username is not None:
        options["access_key"] = unquote(given.username)
        options["secret_key"] = unquote(given.password or "")
    return options


def replace_file(filesystem: pafs.FileSystem, path: str, content: bytes | memoryview) -> None:
    """Write a file atomically: a reader sees the old one or the new one.

    Raises:
        OSError: If the store does not accept the file.
    """
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(f"{path}.part") as stream:
        stream.write(content)
    filesystem.move(f"{path}.part", path)
