"""Record of a sweep in its database: settings, identity, source of spaces, current driver.

The record is kept in the user attributes of a study with the sweep's name, beside the studies of
its spaces. With it, the sweep can be resumed from any folder or machine.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage

from foldsweep.errors import UserError
from foldsweep.files import parsed

HOLDER = "holder"
RECORD = "record"
"""Attribute with the digest of the record, and the number of attributes that hold it."""
LONGEST = 15_000
"""Most characters of one attribute: MySQL allows 65,535 bytes."""


@dataclass(frozen=True, kw_only=True)
class SpaceFile:
    """User's file of a space, as it was when the sweep started."""

    path: str
    """Path as in the settings."""
    source: str
    digest: str

    @classmethod
    def read(cls, path: str, shown: str) -> "SpaceFile":
        """Read an existing file.

        Args:
            path: Path of the file.
            shown: Path as in the settings.
        """
        content = Path(path).read_bytes()
        source = content.decode(errors="surrogateescape")  # a file may have another encoding
        return cls(path=shown, source=source, digest=digest_of(content))

    @property
    def content(self) -> bytes:
        """Content of the file as it was."""
        return self.source.encode(errors="surrogateescape")


@dataclass(frozen=True, kw_only=True)
class Record:
    """Record of a sweep in the database: the content of `settings.json`, and its space files."""

    settings: Mapping[str, Any]
    files: tuple[SpaceFile, ...] = ()

    def to_text(self) -> str:
        """Encode as JSON."""
        files = [vars(file) for file in self.files]
        return json.dumps({"settings": dict(self.settings), "files": files}, sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> "Record":
        """Decode a text of `to_text`.

        Raises:
            ValueError: If the text is damaged.
        """
        try:
            values = parsed(text)
            files = tuple(SpaceFile(**file) for file in values["files"])
            if any(digest_of(file.content) != file.digest for file in files):
                raise ValueError("the digest of a space file does not match")
            return cls(settings=dict(values["settings"]), files=files)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from None


class Home:
    """Study that holds a sweep's record.

    Args:
        storage: The database.
        name: Name of the sweep.
    """

    def __init__(self, storage: BaseStorage, name: str):
        self.name = name
        self._storage = storage
        self._study: optuna.Study | None = None
        with suppress(KeyError):
            self._study = optuna.load_study(study_name=name, storage=storage)

    @property
    def exists(self) -> bool:
        """Whether the database knows the sweep."""
        return self._study is not None

    def require_sweep(self) -> None:
        """Refuse a study that is not of a sweep, since it would be written to or deleted.

        Raises:
            UserError: If the study has trials, or attributes that a sweep does not write.
        """
        if self._study is None:
            return
        ours = (HOLDER, RECORD)
        strange = [key for key in self._study.user_attrs if not key.startswith(ours)]
        if strange or self._study.get_trials(deepcopy=False):
            raise UserError.of("home.not-of-a-sweep", name=self.name)

    def create(self) -> None:
        """Create the study.

        Raises:
            UserError: If the study exists already.
        """
        try:
            self._study = optuna.create_study(storage=self._storage, study_name=self.name)
        except DuplicatedStudyError:
            raise name_taken(self.name) from None

    def delete(self) -> None:
        """Delete the study of a sweep that has not begun."""
        optuna.delete_study(study_name=self.name, storage=self._storage)
        self._study = None

    def holder(self) -> dict[str, Any] | None:
        """Driver that runs the sweep, or ran it last; None if there is none."""
        found = None if self._study is None else self._study.user_attrs.get(HOLDER)
        return found if isinstance(found, dict) else None

    def set_holder(self, holder: Mapping[str, Any]) -> None:
        """Record the driver that runs the sweep."""
        assert self._study is not None
        self._study.set_user_attr(HOLDER, dict(holder))

    def record(self) -> Record | None:
        """The sweep's record; None if it has none yet.

        Raises:
            UserError: If the record is damaged.
        """
        attrs = {} if self._study is None else self._study.user_attrs
        if RECORD not in attrs:
            return None
        try:
            place = attrs[RECORD]
            text = "".join(attrs[key] for key in _parts(place["digest"], place["parts"]))
            if digest_of(text.encode()) != place["digest"]:
                raise ValueError("its digest is wrong")
            return Record.from_text(text)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError.of("home.record-damaged", name=self.name, error=error) from None

    def save(self, record: Record) -> None:
        """Store a record; a reader sees either the old record or the new one."""
        assert self._study is not None
        text = record.to_text()
        digest, old = digest_of(text.encode()), self._study.user_attrs.get(RECORD)
        if old is not None and old.get("digest") == digest:
            return
        pieces = [text[i : i + LONGEST] for i in range(0, len(text), LONGEST)]
        for key, piece in zip(_parts(digest, len(pieces)), pieces, strict=True):
            self._study.set_user_attr(key, piece)
        self._study.set_user_attr(RECORD, {"digest": digest, "parts": len(pieces)})


def name_taken(name: str) -> UserError:
    """The error for a new sweep whose name the database already has."""
    return UserError.of("home.name-taken", name=name)


def sweeps_in(storage: BaseStorage) -> Sequence[str]:
    """Names of the sweeps that have a record in a database, sorted."""
    return sorted(name for name in optuna.get_all_study_names(storage) if "/" not in name)


def digest_of(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _parts(digest: str, number: int) -> list[str]:
    return [f"{RECORD}:{digest[:12]}:{i}" for i in range(number)]
