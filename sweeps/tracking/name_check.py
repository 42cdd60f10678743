"""Check of a new sweep's name in MLflow: refuses one that another sweep has.

MLflow takes seconds to import, so a separate process asks while Ray starts. A server that does
not answer stops no sweep: the sweep's UUID distinguishes its runs from others.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from foldsweep.errors import UserError, first_line
from foldsweep.names import TAG_KIND, TAG_SWEEP, TAG_UUID
from foldsweep.programs import console
from foldsweep.texts import text
from foldsweep.tracking import shown, sqlite_path

WAIT_S = 20.0
REQUESTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_PAGE = 1000
_TABLES_WAIT_S = 10.0


class NameCheck:
    """Context manager that starts the check when entered; `refuse` waits for its answer.

    Args:
        tracking_uri: MLflow server or store, absolute.
        experiment: MLflow experiment.
        name: Name of a new sweep that its user has chosen; None for no check.
    """

    def __init__(self, tracking_uri: str, experiment: str, name: str | None) -> None:
        self._asked = {"tracking_uri": tracking_uri, "experiment": experiment, "name": name}
        self._process: subprocess.Popen[str] | None = None
        store = sqlite_path(tracking_uri)
        self._is_file = store is not None
        self._needed = name is not None and (store is None or store.is_file())

    def __enter__(self) -> Self:
        if self._needed:
            python_path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sweeps.tracking.name_check"],
                env=REQUESTS
                | os.environ
                | {"PYTHONPATH": os.pathsep.join(filter(None, python_path))},
                stdin=subprocess.PIPE,  # other users can read a process's arguments
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                start_new_session=True,
            )
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):  # the process has ended, which `refuse` reports
                self._process.stdin.write(json.dumps(self._asked) + "\n")
                self._process.stdin.flush()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def refuse(self) -> None:
        """Wait for the answer; a server that does not answer is reported on the console.

        Raises:
            UserError: If the name is taken, the experiment is deleted or the store is unusable.
        """
        if self._process is None:
            return
        try:
            out, _ = self._process.communicate(timeout=WAIT_S)
            answer = json.loads(out)
        except subprocess.TimeoutExpired:
            answer = {"problem": f"no answer within {WAIT_S:g} s"}
        except ValueError:
            answer = {"problem": "no answer"}
        uri, experiment = shown(self._asked["tracking_uri"] or ""), self._asked["experiment"]
        if answer.get("deleted"):
            raise UserError.of("name-check.experiment-deleted", experiment=experiment, uri=uri)
        if (taken := answer.get("taken")) is not None:
            raise UserError.of(
                "name-check.name-taken",
                uri=uri,
                name=self._asked["name"],
                experiment=experiment,
                taken=taken,
            )
        if (problem := answer.get("problem")) is not None:
            if self._is_file and "locked" not in problem:
                raise UserError.of("name-check.store-unusable", uri=uri, problem=shown(problem))
            console.print(text("name-check.no-answer", uri=uri, problem=shown(problem)))


def found(tracking_uri: str, experiment: str, name: str) -> dict[str, Any]:
    """Answer for a name: `deleted` (the experiment), `taken` (by which sweep), or nothing."""
    from filelock import FileLock
    from mlflow import MlflowClient
    from mlflow.entities import LifecycleStage

    path = sqlite_path(tracking_uri)
    if path is not None:  # two processes cannot create its tables at a time
        with FileLock(f"{path}.lock", timeout=_TABLES_WAIT_S):
            client = MlflowClient(tracking_uri=tracking_uri)
    else:
        client = MlflowClient(tracking_uri=tracking_uri)
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return {}
    if known.lifecycle_stage == LifecycleStage.DELETED:
        return {"deleted": True}
    token: str | None = None
    while token != "":
        page = client.search_runs(
            [known.experiment_id],
            # in LIKE, `_` matches any character
            f"tags.`{TAG_KIND}` = 'sweep' and tags.`{TAG_SWEEP}` LIKE '{name}/%'",
            max_results=_PAGE,
            page_token=token,
        )
        for run in page:
            sweep = run.data.tags[TAG_SWEEP]
            if sweep.startswith(f"{name}/"):
                day = datetime.fromtimestamp(run.info.start_time / 1000)
                which = run.data.tags.get(TAG_UUID, "")[:8]
                return {"taken": f"{sweep} of {day:%Y-%m-%d %H:%M}{which and f' ({which})'}"}
        token = page.token or ""
    return {}


def main() -> None:
    """Read the question, a line of JSON, from standard input, and print the answer as JSON."""
    asked = json.loads(sys.stdin.readline())
    try:
        answer = found(**asked)
    except Exception as error:  # of MLflow, SQLAlchemy or requests
        cause: BaseException = error
        if str(error).startswith("API request"):
            while (reason := cause.__cause__ or cause.__context__) is not None:
                cause = reason
        answer = {"problem": first_line(cause)[:300]}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
