"""Folders and object stores: the places that a path or a URI such as `s3://bucket/path` names."""

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
TEXTS = {"region", "scheme", "endpoint_override", "tls_ca_file_path"}
SWITCHES = {"allow_delayed_open", "allow_bucket_creation", "allow_bucket_deletion"}
"""Options of an S3 URI, as pyarrow documents them, that its constructor has by the same name."""


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
    wait for minutes. Whoever can wait asks again. A URI with options that only a URI can have,
    such as `tls_verify_certificates`, does without.
    """
    filesystem, path = pafs.FileSystem.from_uri(uri)  # which refuses what it does not know
    given = urlsplit(uri)
    options: dict[str, Any] = dict(parse_qsl(given.query.replace("+", "%2B")))
    if isinstance(filesystem, pafs.S3FileSystem) and options.keys() <= TEXTS | SWITCHES:
        switches = {name: options[name].lower() in ("true", "1") for name in SWITCHES & {*options}}
        filesystem = pafs.S3FileSystem(
            access_key=given.username and unquote(given.username),
            secret_key=given.password and unquote(given.password),
            connect_timeout=CONNECT_WITHIN_S,
            request_timeout=ANSWER_WITHIN_S,
            retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            **{"region": filesystem.region} | options | switches,
        )
    return filesystem, path


def replace_file(filesystem: pafs.FileSystem, path: str, content: bytes | memoryview) -> None:
    """Write a file at once: a reader sees the old one or the new one.

    Raises:
        OSError: If the store does not take it.
    """
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(f"{path}.part") as stream:
        stream.write(content)
    filesystem.move(f"{path}.part", path)
