"""Passwords in URLs of services: masked in output, refused where others can see them."""

import re

from foldsweep.errors import UserError
from foldsweep.texts import text
from foldsweep.tracking import sqlite_path

_ELSEWHERE = {
    "postgresql": text("passwords.postgres"),
    "postgres": text("passwords.postgres"),
    "http": text("passwords.mlflow"),
    "https": text("passwords.mlflow"),
    "s3": text("passwords.s3"),
}
"""Instruction where to put the password instead, by scheme of the URL."""


def masked_url(url: str) -> str:
    """The URL without its password, for messages and records."""
    head, at, tail = re.sub(r"([?&]password=)[^&]*", r"\1***", url).rpartition("@")
    scheme, slashes, user = head.partition("//") if "//" in head else ("", "", head)
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{tail}"


def without_password(url: str) -> str:
    """The URL for a user who has the password elsewhere, with no trace of a password."""
    if sqlite_path(url) is not None:
        return url
    return re.sub(r"password=\*\*\*&?", "", masked_url(url)).rstrip("?&")


def refuse_password(option: str, url: str, *, seen: str = text("passwords.seen-in-ps")) -> None:
    """Refuse a password on the command line: everybody on the machine sees it in `ps`.

    Args:
        option: Option with the URL.
        url: The URL.
        seen: Who else sees it there, as part of the message.

    Raises:
        UserError: If the URL has one; the message says what to do instead.
    """
    if sqlite_path(url) is not None or masked_url(url) == url:
        return
    place = password_place(url)
    raise UserError.of(
        "passwords.in-url", option=option, url=masked_url(url), seen=seen, instead=place
    )


def password_place(url: str) -> str:
    """Instruction where to put the password of a service, by the scheme of its URL."""
    scheme = re.split("[+:]", url, maxsplit=1)[0].lower()
    return _ELSEWHERE.get(scheme, text("passwords.option-file"))
