"""Messages about MLflow and about records that it has not accepted."""

from dataclasses import replace

import pytest

from foldsweep.tracking import tracking_uri
from sweeps.messages import (
    say_what_next,
    show_end,
)
from sweeps.settings import SweepSettings
from tests.sweeps.messages.said import MakeEnd, Said, suggested


def test_a_password_of_the_environment_is_neither_shown_nor_needed(
    settings: SweepSettings, make_end: MakeEnd, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@host:5000")
    settings = replace(settings, tracking_uri=tracking_uri(None))
    end = make_end(waiting_records=3)
    show_end(settings, end, "first")
    say_what_next(settings, "first", [replace(end, waiting_records=0)])
    text = said()
    assert "secret" not in text
    assert "--tracking-uri" not in text
    assert "MLflow at https://***@host:5000 did not accept all records" in text
    assert suggested(text)["look"] == "open https://***@host:5000"


def test_a_password_that_was_given_is_masked(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    settings = replace(settings, tracking_uri="https://user:secret@host:5000")
    end = make_end(waiting_records=3)
    show_end(settings, end, "first")
    say_what_next(settings, "first", [replace(end, waiting_records=0)])
    text = said()
    assert "secret" not in text
    assert "--tracking-uri 'https://***@host:5000'" in suggested(text)["export"]


@pytest.mark.parametrize(
    ("given", "folder", "option"),
    [
        ("runs", "runs/first", ""),
        ("s3://bucket/path", "runs/first", ""),
        ("my runs", "my runs/first", " --storage 'my runs'"),
    ],
)
def test_waiting_records_are_replayed_from_their_local_folder(
    settings: SweepSettings, make_end: MakeEnd, said: Said, given: str, folder: str, option: str
) -> None:
    settings = replace(settings, storage=given)
    show_end(settings, make_end(waiting_records=3, tracking_problem="refused"), "first")
    text = said()
    assert f"did not accept all records (refused): 3 records wait in {folder};" in text
    assert text.endswith(f"sweeps/replay.py first{option}\n")


def test_what_mlflow_refused_is_said_at_the_end(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    settings = replace(settings, tracking_uri="http://host:5000")
    refused = "2 items, the last param lr: too long; see runs/first/small/uploader.log"
    show_end(settings, make_end(refused=refused), "first")
    assert f"MLflow at http://host:5000 refused {refused}; the study has all records" in said()
