"""Folders and object stores: the places that a path or a URI such as `s3://bucket/path` names."""

import os
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from foldsweep.errors import first_line

STORE_ERRORS: tuple[type[Exception], ...] = (OSError, pa.ArrowException)
"""What a store raises that is away, full, or refuses what it is asked for; also a wrong URI."""

CONNECT_WITHIN_S = 5
ANSWER_WITHIN_S = 10
"""How long an S3 service may send nothing."""
ATTEMPTS = 2
SWITCHES = {"allow_delayed_open", "allow_bucket_creation", "allow_bucket_deletion"}
S3_OPTIONS = SWITCHES | {
    *("region", "scheme", "endpoint_override", "tls_ca_file_path", "access_key", "secret_key")
}
"""Options that both an S3 URI and pyarrow's constructor can have."""


def store_says(error: BaseException) -> str:
    """Why a store did not do what it was asked for; without pyarrow's advice to programmers."""
    return first_line(error).partition(" To create buckets, enable")[0].rstrip(".")


def located(place: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem that a path or a URI is in, and the path there.

    Raises:
        OSError: If the store is away, or has no such bucket.
        ValueError: If the URI is none that is known.
    """
    if "://" not in place:
        return pafs.LocalFileSystem(), place
    filesystem, path = _remote(place)
    return filesystem, path.rstrip("/")


@cache
def _remote(uri: str) -> tuple[pafs.FileSystem, str]:
    """Kept, since each connection to a store asks for its bucket first.

    S3 services get limits of time, for which a URI has no options: what asks a silent one would
    wait for minutes. Whoever can wait asks again. What only a URI can say, such as
    `tls_verify_certificates`, goes without limits.
    """
    filesystem, path = pafs.FileSystem.from_uri(uri)  # which refuses what it does not know
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
    """What an S3 URI says, as pyarrow's constructor has it."""
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
    """Write a file at once: a reader sees the old one or the new one.

    Raises:
        OSError: If the store does not take it.
    """
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(f"{path}.part") as stream:
        stream.write(content)
    filesystem.move(f"{path}.part", path)
