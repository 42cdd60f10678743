"""IDX files, the format of MNIST; they are used only if their content is exactly as expected."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from foldsweep.texts import text

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_OVERHEAD = 2**16


class ContentError(Exception):
    """Unexpected content of a file; the message is the difference in a few words."""


@dataclass(frozen=True, kw_only=True)
class IdxFile:
    """Name of an IDX file, with the SHA-256 and the size of its uncompressed content."""

    name: str
    sha256: str
    num_bytes: int
    gz_sha256: str
    """SHA-256 of the compressed file that the mirrors have."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """File names that archives use for the file, compressed or not."""
        dotted = self.name.replace("-idx", ".idx")
        return (f"{self.name}.gz", self.name, f"{dotted}.gz", dotted)

    @property
    def max_stored_bytes(self) -> int:
        """Upper bound on the size of the stored file, even if its content is incompressible."""
        return self.num_bytes + _GZIP_OVERHEAD


def is_gzip(stored: bytes) -> bool:
    """Whether bytes are gzip-compressed; IDX content begins with other bytes."""
    return stored.startswith(_GZIP_MAGIC)


def stored_content(path: Path, file: IdxFile) -> bytes:
    """Read and check the uncompressed content of a stored file.

    Raises:
        ContentError: If the content is not that of `file`.
        OSError: If the file cannot be read.
    """
    with path.open("rb") as stream:
        stored = stream.read(file.max_stored_bytes + 1)
    return checked_content(stored, file)


def checked_content(stored: bytes, file: IdxFile) -> bytes:
    """Check the content of a file, gzipped or not, and return it uncompressed.

    At most one byte more than the expected size is decompressed, which bounds the memory.

    Raises:
        ContentError: If the content is not that of `file`.
    """
    content = stored
    if is_gzip(stored):
        try:
            with gzip.GzipFile(fileobj=BytesIO(stored)) as stream:
                content = stream.read(file.num_bytes + 1)
        except EOFError:
            raise ContentError(text("idx.cut-off")) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ContentError(text("idx.damaged", problem=error)) from error
    if len(content) > file.num_bytes:
        raise ContentError(text("idx.too-long", expected=file.num_bytes))
    if len(content) < file.num_bytes:
        raise ContentError(text("idx.too-short", found=len(content), expected=file.num_bytes))
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != file.sha256:
        found, expected = sha256[:12], file.sha256[:12]
        raise ContentError(text("idx.other-content", found=found, expected=expected))
    return content


def idx_array(content: bytes) -> UInt8[np.ndarray, "..."]:
    """Convert checked IDX content to an array of unsigned bytes.

    References:
        LeCun, Cortes and Burges, "The MNIST database", section on file formats.
    """
    num_dimensions = content[3]
    start = 4 + 4 * num_dimensions
    shape = np.frombuffer(content[4:start], dtype=">i4")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
