"""Options of a program, read from its settings dataclass, and its help in groups."""

import ast
import inspect
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tyro.conf import Positional

from foldsweep.tracking import shown

INDENT = 24
"""Column at which the text of an option begins."""
WIDEST = 100
"""Maximum width of the help, in columns."""
OTHERS = "options"
"""Heading of options that are in no group."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option, or a positional argument, of a program."""

    field: str
    positional: bool
    takes: str
    """Placeholder of its value: INT, {tpe,random}, STR ...; empty for a flag."""
    choices: tuple[str, ...]
    text: str
    default: Any

    @property
    def name(self) -> str:
        """Name on the command line."""
        return self.field.upper() if self.positional else f"--{self.field.replace('_', '-')}"


def options_of(settings: type) -> list[Option]:
    """Return the options of a program, in the order of its settings."""
    hints = get_type_hints(settings, include_extras=True)
    texts: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        if "__annotations__" in vars(base):
            texts |= _texts(base)
    found = []
    for field in fields(settings):
        hint = hints[field.name]
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        parts = [part for part in _parts(hint) if part is not NoneType]
        found.append(
            Option(
                field=field.name,
                positional=get_origin(hint) is Annotated and Positional in hint.__metadata__,
                takes=" or ".join(filter(None, map(_taken, parts))),
                choices=tuple(choice for part in parts for choice in _choices(part)),
                text=texts.get(field.name, ""),
                default=None if default is MISSING else default,
            )
        )
    return found


def usage(settings: type, prog: str, default: Any = None) -> str:
    """Return the help of a program, wrapped to the width of the terminal.

    Args:
        settings: Settings dataclass. An attribute `GROUPS`, if any, has field names by heading.
        prog: Name by which the program is called.
        default: Settings with the default values [those of the class].
    """
    options = options_of(settings)
    positional = [option for option in options if option.positional]
    taken = " ".join(f"[{o.name} ...]" if "..." in o.takes else o.name for o in positional)
    lines = [f"usage: {prog} {taken + ' ' if taken else ''}[options]", ""]
    width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    for paragraph in (inspect.getdoc(settings) or "").split("\n\n"):
        lines += [*_wrapped(paragraph, width), ""]
    for title, group in _grouped(options, getattr(settings, "GROUPS", {})).items():
        lines.append(f"{title}:")
        for option in group:
            value = option.default if default is None else getattr(default, option.field)
            lines += _described(option, value, width)
        lines += _entry("-h, --help", "Show this and stop.", width) if title == OTHERS else [""]
    return "\n".join(lines)


def _grouped(
    options: list[Option], groups: Mapping[str, tuple[str, ...]]
) -> dict[str, list[Option]]:
    """Return the options by heading: positional arguments first, options in no group last."""
    by_field = {option.field: option for option in options}
    found = {"arguments": [option for option in options if option.positional]}
    found |= {title: [by_field.pop(name) for name in names] for title, names in groups.items()}
    rest = [o for o in options if o.field in by_field and not o.positional]
    found[OTHERS] = rest
    return {title: group for title, group in found.items() if group or title == OTHERS}


def _described(option: Option, value: Any, width: int) -> list[str]:
    text = option.text
    if value is not None and value is not False and value not in ((), ""):
        words = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        text = f"{text} (default: {shown(words)})"
    head = option.name if option.positional else f"{option.name} {option.takes}".rstrip()
    return _entry(head, text, width)


def _entry(head: str, text: str, width: int) -> list[str]:
    """Return the lines of an option; its name is never broken, even on a narrow terminal."""
    indent = INDENT if width >= 3 * INDENT else 6
    lines = [" " * indent + line for line in _wrapped(text, width - indent)]
    if lines and len(head) + 4 <= indent:
        lines[0] = f"  {head}".ljust(indent) + lines[0].lstrip()
        return lines
    return [f"  {head}", *lines]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), max(width, 20), break_long_words=False, break_on_hyphens=False
    )


def _parts(hint: Any) -> list[Any]:
    if get_origin(hint) is Annotated:
        return _parts(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [part for each in get_args(hint) for part in _parts(each)]
    return [hint]


def _choices(part: Any) -> tuple[str, ...]:
    if get_origin(part) is tuple:
        return _choices(get_args(part)[0])
    return tuple(map(str, get_args(part))) if get_origin(part) is Literal else ()


def _taken(part: Any) -> str:
    if get_origin(part) is tuple:
        return f"{_taken(get_args(part)[0])} ..."
    if get_origin(part) is Literal:
        return f"{{{','.join(_choices(part))}}}"
    return {bool: "", int: "INT", float: "FLOAT", str: "STR"}.get(part, "PATH")


@cache
def _texts(settings: type) -> dict[str, str]:
    """Return the strings under the fields of a class, by field, from its source code."""
    body = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for statement, after in zip(body.body, body.body[1:], strict=False):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(after, ast.Expr):
            continue
        if isinstance(statement.target, ast.Name) and isinstance(after.value, ast.Constant):
            texts[statement.target.id] = str(after.value.value)
    return texts
