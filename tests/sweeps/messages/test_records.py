"""Messages about MLflow and about records that it has not accepted."""

from dataclasses import replace

import pytest

from foldsweep.programs import command
from foldsweep.tracking import tracking_uri
from sweeps.commands import say_what_next
from sweeps.messages import show_end
from sweeps.settings import SweepSettings
from tests.refusals import text
from tests.sweeps.messages.said import MakeEnd, Said, suggested


def test_a_password_of_the_environment_is_neither_shown_nor_needed(
    settings: SweepSettings, make_end: MakeEnd, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@host:5000")
    settings = replace(settings, tracking_uri=tracking_uri(None))
    end = make_end(waiting_records=3)
    show_end(settings, end, "first")
    say_what_next(settings, "first", [replace(end, waiting_records=0)])
    out = said()
    assert "secret" not in out
    assert "--tracking-uri" not in out
    waiting = text(
        "messages.records-wait",
        uri="https://***@host:5000",
        problem="",
        records=3,
        folder="runs/first",
        replay=command("sweeps/replay.py", "first"),
    )
    assert waiting in out.splitlines()
    assert suggested(out)["look"] == text("commands.open", uri="https://***@host:5000")


def test_a_password_that_was_given_is_masked(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    settings = replace(settings, tracking_uri="https://user:secret@host:5000")
    end = make_end(waiting_records=3)
    show_end(settings, end, "first")
    say_what_next(settings, "first", [replace(end, waiting_records=0)])
    out = said()
    assert "secret" not in out
    assert "--tracking-uri 'https://***@host:5000'" in suggested(out)["export"]


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
    waiting = text(
        "messages.records-wait",
        uri=settings.tracking_uri,
        problem=" (refused)",
        records=3,
        folder=folder,
        replay=f"{command('sweeps/replay.py', 'first')}{option}",
    )
    assert waiting in said().splitlines()


def test_what_mlflow_refused_is_said_at_the_end(
    settings: SweepSettings, make_end: MakeEnd, said: Said
) -> None:
    settings = replace(settings, tracking_uri="http://host:5000")
    refused = "2 items, the last param lr: too long; see runs/first/small/uploader.log"
    show_end(settings, make_end(refused=refused), "first")
    line = text("messages.records-refused", uri="http://host:5000", items=refused)
    assert line in said().splitlines()
