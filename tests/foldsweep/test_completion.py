import os
import shutil
import subprocess
from pathlib import Path

import pytest

from foldsweep.command import PROGRAMS
from foldsweep.completion import Words, all_words, bash, fish, zsh
from search_spaces.loading import ANY_TASK, SPACES


@pytest.fixture(scope="module")
def words() -> dict[str, Words]:
    return all_words()


def completed(script: str, line: str, folder: Path) -> set[str]:
    """Completions that bash offers at the end of a line."""
    parts = line.split(" ")
    quoted = " ".join(f"'{part}'" for part in parts)
    asked = (
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(parts) - 1}; _foldsweep;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\n{asked}"],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_choices_spaces_and_files(
    words: dict[str, Words], tmp_path: Path
) -> None:
    script = bash(words)
    (tmp_path / "mine.py").touch()

    def offered(line: str) -> set[str]:
        return completed(script, line, tmp_path)

    assert offered("foldsweep ") == {*PROGRAMS, "--help"}
    assert offered("foldsweep co") == {"compare", "completion"}
    assert offered("foldsweep run --tri") == {"--trials", "--trial-timeout"}
    assert offered("foldsweep run --sampler ") == {
        *("tpe", "gp", "cmaes", "qmc", "random", "nsga2", "grid")
    }
    assert offered("foldsweep run --space cnn_ws") == {n for n in SPACES if n.startswith("cnn_ws")}
    assert "ridge" in offered("foldsweep run --space mlp ri")
    assert offered("foldsweep run --space mi") == {"mine.py"}
    assert offered("foldsweep run --data ") == {"mine.py"}
    assert offered("foldsweep spaces hist") == {"hist_gradient_boosting"}
    assert offered("foldsweep completion ") == {"bash", "zsh", "fish"}
    assert offered("foldsweep replay --st") == {"--storage"}


def test_all_options_of_all_commands_are_there(words: dict[str, Words]) -> None:
    assert list(words) == list(PROGRAMS)
    for name, options in words.items():
        assert "--help" in options
        for script in (bash(words), fish(words), zsh(words)):
            assert name in script
    assert {*ANY_TASK, *SPACES} == set(words["run"]["--space"]) == set(words["spaces"][""])
    for option in words["run"]:
        assert f" {option}" in bash(words).replace('"', " ")
        assert f"-l {option[2:]}" in fish(words)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_of_their_shell(shell: str, words: dict[str, Words]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    script = {"bash": bash, "zsh": zsh, "fish": fish}[shell](words)
    done = subprocess.run(
        [shell, "-n", "/dev/stdin"], input=script, capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")


ZSH = """
source ./script; setopt ksharrays shwordsplit
offered() { COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _foldsweep; echo "${COMPREPLY[@]}"; }
offered foldsweep run --sampler ""
offered foldsweep ""
"""
FISH = """
source ./script
complete -C 'foldsweep run --sampler '; echo; complete -C 'foldsweep '
"""


@pytest.mark.parametrize(("shell", "asked"), [("zsh", ZSH), ("fish", FISH)])
def test_other_shells_offer_the_same(
    shell: str, asked: str, words: dict[str, Words], tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    (tmp_path / "script").write_text({"zsh": zsh, "fish": fish}[shell](words))
    done = subprocess.run(
        [shell, *["-f"] * (shell == "zsh"), "-c", asked],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)},
    )
    choices, commands = done.stdout.split("\n\n" if shell == "fish" else "\n", 1)
    assert done.stderr == ""
    assert set(choices.split()) == {*words["run"]["--sampler"]}
    assert {*PROGRAMS} <= set(commands.split())
