"""Shell completion of the command `foldsweep`: commands, options, choices, spaces, files.

The scripts contain all words, so that completion does not start Python. Print them again after an
update.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Literal

from tyro.conf import Positional

from foldsweep.command import PROGRAMS
from foldsweep.programs import parse
from foldsweep.usage import options_of

Shell = Literal["bash", "zsh", "fish"]
Words = dict[str, tuple[str, ...]]
"""Choices by option; empty for an option that takes a file name or any word."""


@dataclass(frozen=True, kw_only=True)
class CompletionSettings:
    """Print the completion script of this command for a shell; print it again after an update.

    bash: foldsweep completion bash > ~/.local/share/bash-completion/completions/foldsweep

    zsh: foldsweep completion zsh > ~/.foldsweep.zsh, and in ~/.zshrc: source ~/.foldsweep.zsh

    fish: foldsweep completion fish > ~/.config/fish/completions/foldsweep.fish
    """

    shell: Annotated[Shell, Positional]
    """Shell that the script is for."""


def main() -> int:
    """Print the completion script of a shell; returns the exit code."""
    settings = parse(CompletionSettings, sys.argv[1:], prog="foldsweep completion")
    print({"bash": bash, "zsh": zsh, "fish": fish}[settings.shell](all_words()))
    return 0


def all_words() -> dict[str, Words]:
    """Return the options of each program and their choices; key "" has positional choices."""
    loading = import_module("search_spaces.loading")
    spaces = tuple(dict.fromkeys([*loading.ANY_TASK, *loading.SPACES]))
    found: dict[str, Words] = {}
    for name, program in PROGRAMS.items():
        if not program.settings:
            replay = import_module(program.module)
            found[name] = dict.fromkeys((*replay.OPTIONS, "--help"), ())
            continue
        module, _, settings = program.settings.rpartition(".")
        words: Words = {}
        for option in options_of(getattr(import_module(module), settings)):
            choices = spaces if option.field == "space" else option.choices
            if not option.positional:
                words[option.name] = choices
            elif choices:
                words[""] = choices
        found[name] = words | {"--help": ()}
    return found


def bash(found: dict[str, Words]) -> str:
    """Return the script for bash; options without choices complete file names."""
    cases = []
    for name, words in found.items():
        cases += [
            f'    "{name} {option}") words="{" ".join(choices)}" ;;'
            for option, choices in words.items()
            if option and choices
        ]
        cases.append(f'    "{name} "*) ;;')
    options = [
        f'    {name}) options="{" ".join(filter(None, w))}" ;;' for name, w in found.items()
    ]
    alone = [f'    {n}) words="{" ".join(w[""])}" ;;' for n, w in found.items() if "" in w]
    return "\n".join(
        [
            "# completes foldsweep in bash",
            "_foldsweep() {",
            '  local current="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}"',
            '  local options="" words="" option="" i',
            "  COMPREPLY=()",
            "  if [ $COMP_CWORD -eq 1 ]; then",
            f'    COMPREPLY=($(compgen -W "{" ".join(found)} --help" -- "$current"))',
            "    return",
            "  fi",
            '  case "$command" in',
            *options,
            "  esac",
            '  if [ "${current:0:1}" = "-" ]; then',
            '    COMPREPLY=($(compgen -W "$options" -- "$current"))',
            "    return",
            "  fi",
            "  for ((i = COMP_CWORD - 1; i > 1; i--)); do  # several values may follow an option",
            '    case "${COMP_WORDS[i]}" in --*) option="${COMP_WORDS[i]}"; break ;; esac',
            "  done",
            '  case "$command $option" in',
            *cases,
            "  esac",
            '  if [ -z "$option" ]; then',
            '    case "$command" in',
            *[f"  {line}" for line in alone],
            "    esac",
            "  fi",
            '  if [ -n "$words" ]; then',
            '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
            '    [ "${#COMPREPLY[@]}" -gt 0 ] && return',
            "  fi",
            '  COMPREPLY=($(compgen -f -- "$current"))',
            "}",
            "complete -o filenames -F _foldsweep foldsweep",
        ]
    )


def zsh(found: dict[str, Words]) -> str:
    """Return the script for zsh, which runs that for bash by `bashcompinit`."""
    first, rest = bash(found).split("\n", 1)
    start = "autoload -U +X compinit bashcompinit && compinit && bashcompinit"
    return "\n".join([first.replace("bash", "zsh"), start, rest])


def fish(found: dict[str, Words]) -> str:
    """Return the script for fish."""
    lines = ["# completes foldsweep in fish"]
    for name in found:
        does = PROGRAMS[name].does.rstrip(".").replace("'", "\\'")
        start = "complete -c foldsweep -n __fish_use_subcommand -f"
        lines.append(f"{start} -a {name} -d '{does}'")
    for name, words in found.items():
        start = f"complete -c foldsweep -n '__fish_seen_subcommand_from {name}'"
        for option, choices in words.items():
            values = f"-f -a '{' '.join(choices)}'" if choices else ""
            needs = " -x" if choices and option else ""
            long = f" -l {option[2:]}{needs}" if option else ""
            lines.append(f"{start}{long} {values}".rstrip())
    return "\n".join(lines)
