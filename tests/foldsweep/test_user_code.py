import runpy
from pathlib import Path

import pytest

from foldsweep.errors import CodeError, UserError
from foldsweep.user_code import code_error

CODE = """
def called():
    raise ValueError("two\\nlines")

def through_a_library():
    import json
    json.loads("{")

def around():
    called()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def raised(file: Path, name: str) -> BaseException:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # whatever it says
        runpy.run_path(str(file))[name]()
    return caught.value


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("called", 3, "ValueError: two lines"),
        ("around", 3, "ValueError: two lines"),
        ("through_a_library", 7, "JSONDecodeError: Expecting property name"),
    ],
)
def test_the_message_names_the_last_line_of_the_file(
    file: Path, name: str, line: int, said: str
) -> None:
    error = code_error(raised(file, name), str(file), "it fails in")
    assert isinstance(error, UserError)
    assert str(error).startswith(f"it fails in {file}, line {line}: {said}")
    assert "\n" not in str(error)


def test_the_traceback_begins_in_the_file(file: Path) -> None:
    shown = code_error(raised(file, "around"), str(file), "").traceback
    head, first, *_ = shown.splitlines()
    assert head == "Traceback (most recent call last):"
    assert first == f'  File "{file}", line 10, in around'
    assert shown.count("File ") == 2
    assert shown.endswith("ValueError: two\nlines\n")
    through = code_error(raised(file, "through_a_library"), str(file), "").traceback
    assert f'File "{file}", line 7' in through
    assert "json/decoder.py" in through  # a function that the file called


def test_a_relative_path_is_the_same_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = raised(file, "called")
    monkeypatch.chdir(file.parent)
    assert str(code_error(error, "mine.py", "in")).startswith("in mine.py, line 3: ValueError")


def test_an_error_that_never_was_in_the_file_has_no_line(file: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    error = code_error(caught.value, str(file), "in")
    assert str(error) == f"in {file}: ZeroDivisionError: division by zero"
    assert "test_user_code.py" in error.traceback


def test_a_syntax_error_has_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("x = 1\ndef f(:\n")
    with pytest.raises(SyntaxError) as caught:
        runpy.run_path(str(path))
    error = code_error(caught.value, str(path), "in")
    assert isinstance(error, CodeError)
    assert str(error).startswith(f"in {path}, line 2: SyntaxError: ")
    assert "def f(:" in error.traceback
    assert "runpy" not in error.traceback
