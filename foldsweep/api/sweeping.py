"""Sweeps started by a program: with Ray in a child process, or in this process without Ray."""

import io
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeGuard, Union, overload

from foldsweep.api.process_state import undisturbed
from foldsweep.checks import brief, nearest
from foldsweep.errors import CodeError, UserError
from foldsweep.interrupts import INTERRUPTED
from foldsweep.texts import text
from sweeps.cell import Cell, Display, in_notebook
from sweeps.config_file import KNOWN, words_of
from sweeps.handover import Given, Sent
from sweeps.run import read_settings
from sweeps.settings import SweepSettings, new_name
from sweeps.supervisor import Supervisor

if TYPE_CHECKING:  # these import Ray and torch, which users of space names do not need
    from foldsweep.api.result import Result
    from search_spaces.space import SearchSpace
    from trainables.tasks.task import Task

Space = Union[str, PurePath, "SearchSpace"]
What = Union[Space, "Task", Sequence[Space]]
SETTINGS = (*KNOWN, "resume", "trust")
"""Settings of the command line that `sweep` accepts, too."""


@overload
def sweep(
    what: What = (),
    *,
    spaces: Space | Sequence[Space] = (),
    workers: int | None = None,
    ui: bool = False,
    dry_run: Literal[False] = False,
    **settings: Any,
) -> "Result": ...


@overload
def sweep(
    what: What = (),
    *,
    spaces: Space | Sequence[Space] = (),
    workers: int | None = None,
    ui: bool = False,
    dry_run: Literal[True],
    **settings: Any,
) -> None: ...


def sweep(
    what: What = (),
    *,
    spaces: Space | Sequence[Space] = (),
    workers: int | None = None,
    ui: bool = False,
    dry_run: bool = False,
    **settings: Any,
) -> "Result | None":
    """Search for the best configuration of one or more search spaces.

    Ctrl-C, or interrupting the kernel, stops the sweep and keeps all trials that have ended.
    Resume it with `resume`.

    Args:
        what: Search spaces: by name, as the path of a file, or as `SearchSpace` objects. Or a
            task, such as one made by `table`; then `spaces` are the search spaces for it.
        spaces: Further spaces.
        workers: Trials at a time, each in its own process [as many as CPUs or GPUs allow]. With 0
            they train in this process, one after another and without Ray.
        ui: Whether to serve MLflow's pages while the sweep runs.
        dry_run: Whether to print the plan, the expected duration and the output folders instead of
            sweeping. Nothing is written, and None is returned.
        settings: Settings of `foldsweep run` by the same names, such as `trials` and `folds`.

    Raises:
        UserError: If an argument or setting is invalid; nothing has been created or changed then.
        KeyboardInterrupt: After Ctrl-C; the message has the call that resumes the sweep.
        RuntimeError: If the process with Ray was ended.
    """
    if workers == 0:
        import torch  # noqa: F401  whose state is kept, and which a process of its own imports
    with undisturbed():
        more = settings.pop("space", None) or ()
        given, named = given_of(what, [*_several(spaces), *_several(more)])
        if given.task is not None and not named and not settings.get("resume"):
            raise UserError.of("api-sweeping.spaces-missing")
        if workers is not None and settings.get("concurrency") is not None:
            raise UserError.of("api-sweeping.workers-and-concurrency")
        wanted = {**settings, **({"space": named} if named else {})}
        if workers:
            wanted["concurrency"] = workers
        stored, read = read_settings([*_words(wanted), *["--dry-run"] * dry_run])
        read.validate()
        if given.task is not None and read.data is not None:
            raise UserError.of("api-sweeping.task-has-data", data=read.data)
        if dry_run:
            _in_driver("rehearse", read, stored, given)
            return None
        return (_apart if workers != 0 else _here)(read, stored, given, ui=ui)


def given_of(what: What, spaces: Space | Sequence[Space] = ()) -> tuple[Given, list[str]]:
    """Return the task and spaces that a program has made, and the names of all spaces in settings.

    Raises:
        UserError: If an argument is neither a task nor a space.
    """
    task = what if _is_task(what) else None
    asked = [*([] if task is not None else _several(what)), *_several(spaces)]
    for one in asked:
        if not isinstance(one, str) and not _is_space(one):
            raise UserError.of("api-sweeping.not-a-space", given=brief(one))
    objects = [one for one in asked if _is_space(one)]
    given = Given(task=task, spaces={one.name: one for one in objects})
    return given, [given.named(one) for one in asked]


def _is_task(what: object) -> "TypeGuard[Task]":
    module = sys.modules.get("trainables.tasks.task")
    return module is not None and isinstance(what, module.Task)


def _is_space(what: object) -> "TypeGuard[SearchSpace]":
    module = sys.modules.get("search_spaces.space")
    return module is not None and isinstance(what, module.SearchSpace)


def _several(spaces: Any) -> list[Any]:
    several = [*spaces] if isinstance(spaces, list | tuple) else [spaces]
    return [str(space) if isinstance(space, PurePath) else space for space in several]


def _words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as a command line."""
    for name in settings:
        if name not in SETTINGS:
            hint = nearest(name, SETTINGS)
            raise UserError.of("api-sweeping.setting-unknown", setting=name, hint=hint)
    return words_of(settings, where="", seen="anyone who reads the program sees")


def _apart(
    settings: SweepSettings, stored: SweepSettings | None, given: Given, *, ui: bool
) -> "Result":
    """Run the sweep in a child process with Ray."""
    known = _in_driver("answer", settings, stored, given, ui, in_notebook())
    from foldsweep.api.result import result_of  # imports MLflow, which takes seconds

    return result_of(settings, str(known["sweep"]), given)


def _in_driver(
    what: str,
    settings: SweepSettings,
    stored: SweepSettings | None,
    given: Given,
    *more: object,
) -> dict[str, Any]:
    """Call function `what` of `sweeps.driver` in a child process; returns what it has reported."""
    relayed = None if _are_of_the_system() else (sys.stdout, sys.stderr)
    displays: defaultdict[int, Display] = defaultdict(Display)
    supervisor = Supervisor(relayed, lambda number, bundle: displays[number](bundle))
    code = supervisor.run(f"sweeps.driver.{what}", settings, stored, Sent.of(given), *more)
    known = supervisor.known
    if supervisor.what_happened and code != INTERRUPTED:
        raise RuntimeError(supervisor.what_happened)
    if code == INTERRUPTED:
        _interrupted(supervisor.signal, known.get("resume"))
    if "error" in known:
        _raise(known["error"], known["traceback"], known.get("kind"), known.get("values", {}))
    return known


def _here(
    settings: SweepSettings, stored: SweepSettings | None, given: Given, *, ui: bool
) -> "Result":
    """Run the sweep in this process, without Ray."""
    from foldsweep.api.result import result_of  # imports Ray, torch and MLflow, a few seconds
    from sweeps.commands import Audience, resume_command
    from sweeps.launch import launch
    from sweeps.local import Here
    from sweeps.outages import ServiceLost

    name = settings.resume or settings.name or new_name(settings.local_root)
    if settings.resume is None:
        settings = replace(settings, name=name)
    try:
        cell = (lambda number: Cell(Display())) if in_notebook() else None
        code = launch(settings, stored, Here(settings), given, ui=ui, cell=cell)
    except ServiceLost as error:
        raise RuntimeError(str(error)) from None
    if code == INTERRUPTED:
        audience = Audience(by_call=True, gave_task=given.task is not None)
        _interrupted(signal.SIGINT, resume_command(settings, name, audience))
    return result_of(settings, name, given)


def _are_of_the_system() -> bool:
    """Whether the output of a child process appears where this process's output does."""
    try:
        return (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return False


def _interrupted(number: int | None, resume: str | None) -> NoReturn:
    """Raise the signal that ended the sweep; `KeyboardInterrupt` for Ctrl-C."""
    if number is not None and number != signal.SIGINT:
        if resume:
            print(text("commands.interrupted", resume=resume), flush=True)
        signal.raise_signal(number)
    raise KeyboardInterrupt(f"resume with {resume}" if resume else "nothing was started")


def _raise(error: str, traceback: str, kind: str | None, values: dict[str, object]) -> NoReturn:
    """Raise the exception of the child process here; `kind` is None if it is not the user's."""
    raised: Exception = RuntimeError(error)
    if kind is not None:
        raised = users = CodeError(error, traceback) if traceback else UserError(error)
        users.kind, users.values = kind, values
    if traceback:
        raised.add_note(f"in the process of the sweep: {traceback}")
    raise raised
