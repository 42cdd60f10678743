"""Passwords in URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.passwords import masked_url, refuse_password, without_password
from tests.refusals import refused, text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host:5432/studies", "postgresql://user@host:5432/studies"),
        ("postgresql+psycopg2://user:se//c:r@et@host/x", "postgresql+psycopg2://user@host/x"),
        ("postgresql//user:secret@host/x", "postgresql//user@host/x"),
        ("user:secret@host/x", "user@host/x"),
        ("postgresql://user@host/x", "postgresql://user@host/x"),
        (
            "postgresql://host/x?user=u&password=secret&sslmode=off",
            "postgresql://host/x?user=u&password=***&sslmode=off",
        ),
        ("sqlite:////folder/study.db", "sqlite:////folder/study.db"),
        ("sqlite:////a@b/study.db", "sqlite:////a@b/study.db"),
        ("study.db", "study.db"),
    ],
)
def test_a_shown_url_holds_no_password(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@given(st.from_regex(r"[A-Z0-9!:/@#%]{6,12}", fullmatch=True))
def test_no_password_gets_through(password: str) -> None:
    assert password not in masked_url(f"postgresql://user:{password}@host/studies")


@pytest.mark.parametrize(
    ("url", "instead"),
    [
        ("postgresql://user:secret@host/studies", text("passwords.postgres")),
        ("postgresql+psycopg://host/x?user=u&password=secret", text("passwords.postgres")),
        ("mysql+pymysql://user:secret@host/x", text("passwords.option-file")),
        ("https://user:secret@host", text("passwords.mlflow")),
        ("s3://key:secret@bucket/path", text("passwords.s3")),
    ],
)
def test_a_password_on_the_command_line_is_refused_with_the_alternative(
    url: str, instead: str
) -> None:
    with refused("passwords.in-url", option="--study", url=masked_url(url)) as caught:
        refuse_password("--study", url)
    assert instead in str(caught.value.values["instead"])
    assert "secret" not in str(caught.value)
    refuse_password("--study", without_password(url))


@pytest.mark.parametrize(
    "url",
    ["postgresql://user@host/x", "sqlite:////a:b@c/study.db", "runs", "s3://bucket/path", ""],
)
def test_what_holds_no_password_is_not_refused(url: str) -> None:
    refuse_password("--study", url)
    assert without_password(url) == url
