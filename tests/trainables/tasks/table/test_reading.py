import hashlib

import numpy as np
import pandas as pd
import pytest

from tests.refusals import refused, text
from trainables.tasks.table.reading import MAX_BYTES, Arrays, Table, read_file

TEXT = "größe,plan\n1.5,a\n,b\n"


def written(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", (text("reading.utf16"),)),
        ("latin-1", (text("reading.latin1"),)),
    ],
)
def test_encodings(tmp_path, encoding, said):
    content = TEXT.encode(encoding)
    read = read_file(written(tmp_path, content))
    assert isinstance(read, Table)
    assert list(read.frame.columns) == ["größe", "plan"]
    np.testing.assert_array_equal(read.frame["größe"], [1.5, np.nan])
    assert read.said == said
    assert read.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_said(tmp_path, delimiter, word):
    read = read_file(written(tmp_path, TEXT.replace(",", delimiter)))
    assert read.frame.shape == (2, 2)
    assert read.said == (text("separators.delimiter", delimiters=word),)


def test_names_with_spaces_quotes_and_line_breaks(tmp_path):
    text = '"a b","say ""hi""","two\nlines"\n1,2,3\n'
    read = read_file(written(tmp_path, text))
    assert list(read.frame.columns) == ["a b", 'say "hi"', "two\nlines"]


def test_parquet(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["1", "2"]})
    frame.to_parquet(tmp_path / "t.parquet")
    read = read_file(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read.frame, frame)
    assert not read.text_numbers


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((3, 2)), y=np.array(["a", "b", "a"]))
    read = read_file(tmp_path / "a.npz")
    assert isinstance(read, Arrays)
    assert read.groups is None
    assert read.y.tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("content", "name", "kind", "said"),
    [
        ("", "t.csv", "empty", "t.csv"),
        (" \n", "t.csv", "empty", "t.csv"),
        ("a,b\n", "t.csv", "no-rows", "t.csv"),
        ("a,b,a\n1,2,3\n", "t.csv", "column-named-twice", "'a'"),
        ("1,2\n3,4\n", "t.csv", "no-header", "'1', '2'"),
        ("a,b\n1,2,3\n4,5,6\n", "t.csv", "more-cells-than-names", "t.csv"),
        ("a,b\n1,2\n4,5,6\n", "t.csv", "text-not-parsed", "Expected 2 fields in line 3, saw 3"),
        ('a,b\n"1,2\n', "t.csv", "text-not-parsed", "EOF inside string"),
        (bytes(range(256)), "t.csv", "not-text", "t.csv"),
        (b"a,b\n\x81\x8d,1\n", "t.csv", "encoding-unknown", "t.csv"),
        (b"\xff\xfea", "t.csv", "damaged-utf16", "t.csv"),
        (b"PAR1 garbage", "t.parquet", "damaged-parquet", "t.parquet"),
        (b"garbage", "t.npz", "damaged-npz", "t.npz"),
        (b"PK\x03\x04garbage", "t.npz", "damaged-npz", "t.npz"),
        ("a,b\n1,2\n", "t.xlsx", "ending-unknown", ".csv"),
        ("a,b\n1,2\n", "t", "ending-unknown", ".csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path, content, name, kind, said):
    with refused(f"reading.{kind}", path=tmp_path / name) as caught:
        read_file(written(tmp_path, content, name))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with refused("reading.unreadable", problem="No such file or directory"):
        read_file(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with refused("reading.unreadable", problem="Is a directory"):
        read_file(tmp_path / "folder.csv")


def test_a_file_of_2_gb_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(2 * MAX_BYTES)  # a sparse file, which takes no disk space
    with refused("reading.file-too-large", gib=2.0, most=1):
        read_file(path)


def test_an_npz_that_unpacks_to_more_than_fits_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.tasks.table.reading.MAX_BYTES", 10_000)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((10_000, 2)), y=np.zeros(10_000))
    with refused("reading.npz-too-large"):
        read_file(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "kind"),
    [
        ({"x": np.array([{}, []], dtype=object), "y": [0, 1]}, "npz-objects"),
        ({"y": [0, 1]}, "npz-arrays-wrong"),
        ({"x": [0, 1], "z": [0, 1]}, "npz-arrays-wrong"),
        ({"x": [0, 1], "y": [0]}, "npz-rows-differ"),
        ({"x": 1, "y": 1}, "npz-rows-differ"),
    ],
)
def test_arrays_that_are_not_data_are_refused(tmp_path, arrays, kind):
    np.savez(tmp_path / "a.npz", **arrays)
    with refused(f"reading.{kind}"):
        read_file(tmp_path / "a.npz")


def test_a_parquet_file_that_unpacks_to_more_than_fits_is_refused(tmp_path, monkeypatch):
    pd.DataFrame({"a": np.zeros(100_000)}).to_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr("trainables.tasks.table.reading.MAX_BYTES", 500_000)
    with refused("reading.parquet-too-large", rows=100_000, columns=1):
        read_file(tmp_path / "t.parquet")
