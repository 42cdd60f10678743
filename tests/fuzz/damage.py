"""Damage to files: to their bytes, to the data in them, and by payloads that execute code."""

import io
import json
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from tests.fuzz.values import WRONG, nested

Damage = Callable[[Path, random.Random, Path], str]
"""Damages a file and returns a description; an executed payload creates the last path."""
DEEP = (10, 900, 20_000)


class Payload:
    """Object that executes code when it is unpickled: it creates the file `executed`."""

    def __init__(self, executed: Path):
        self.executed = executed

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.executed,)


def in_bytes(path: Path, rng: random.Random, executed: Path) -> str:
    """Flip, cut, double, insert or replace bytes."""
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content) or 1)
    until = rng.randint(at, len(content))
    what = rng.choice(
        ("flip", "flips", "cut", "double", "remove", "insert", "empty", "zeros", "utf-16", "bom")
    )
    if what == "flip" and content:
        content[at] ^= 1 << rng.randrange(8)
    elif what == "flips":
        for _ in range(1 + len(content) // 50):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif what == "cut":
        del content[at:]
    elif what == "double":
        content[until:until] = content[at:until]
    elif what == "remove":
        del content[at:until]
    elif what == "insert":
        content[at:at] = rng.choice((b"\xff", b"\0", b"\n", b"}", b"\n{}\n", b"\xed\xa0\x80"))
    elif what == "empty":
        content.clear()
    elif what == "zeros":
        content[at:until] = bytes(until - at)
    elif what == "utf-16":
        content[:] = content.decode("latin-1").encode("utf-16")
    elif what == "bom":
        content[0:0] = b"\xef\xbb\xbf"
    path.write_bytes(content)
    return f"{what} at {at}"


def as_place(path: Path, rng: random.Random, executed: Path) -> str:
    """Remove the file, or replace it by a folder, a symlink loop or a dangling link."""
    path.unlink()
    what = rng.choice(("nothing", "folder", "loop", "dangling"))
    if what == "folder":
        path.mkdir()
    elif what == "loop":
        path.symlink_to(path.name)
    elif what == "dangling":
        path.symlink_to("nowhere")
    return what


def in_json(path: Path, rng: random.Random, executed: Path) -> str:
    """Change one value of a JSON document."""
    value, said = _changed(json.loads(path.read_text()), rng)
    path.write_text(_dumped(value))
    return said


def in_json_lines(path: Path, rng: random.Random, executed: Path) -> str:
    """Change, double, move or remove a line, or change a value in it."""
    lines = path.read_text().splitlines()
    at = rng.randrange(len(lines))
    what = rng.choice(("change", "change", "change", "double", "swap", "remove", "junk"))
    said = what
    if what == "change":
        value, said = _changed(json.loads(lines[at]), rng)
        lines[at] = _dumped(value)
    elif what == "double":
        lines.insert(at, lines[at])
    elif what == "swap":
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif what == "remove":
        del lines[at]
    else:
        lines.insert(at, rng.choice(("", "null", "[]", "{}", "7", '"x"', "{", "\x00", "NaN")))
    path.write_text("".join(line + "\n" for line in lines))
    return f"line {at + 1}: {said}"


def in_yaml(path: Path, rng: random.Random, executed: Path) -> str:
    """Change one value of a YAML document, or insert a tag that would execute code."""
    value = yaml.safe_load(path.read_text())
    if rng.random() < 0.25:
        key = rng.choice(sorted(value))
        value[key] = "PAYLOAD"
        call = rng.choice(
            (
                f"!!python/object/apply:os.system ['touch {executed}']",
                f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path"
                f" ['{executed}']]",
                f"!!python/object/new:os.system ['touch {executed}']",
                "!!python/name:os.system",
                "&a [*a]",
                "&a {x: *a}",
            )
        )
        path.write_text(yaml.safe_dump(value).replace("PAYLOAD", call))
        return f"{key}: {call}"
    value, said = _changed(value, rng)
    try:
        path.write_text(yaml.safe_dump(value), errors="surrogatepass")
    except RecursionError:
        path.write_text("[" * DEEP[-1])
    return said


def as_pickle(path: Path, rng: random.Random, executed: Path) -> str:
    """Replace the file by a payload: a pickle, a torch file, a NumPy file or a zip file."""
    what = rng.choice(("pickle", "torch", "npz", "zip"))
    if what == "pickle":
        path.write_bytes(pickle.dumps(Payload(executed)))
    elif what == "torch":
        torch.save({"payload": Payload(executed)}, path)
    elif what == "npz":
        buffer, payload = io.BytesIO(), np.array([Payload(executed)], dtype=object)
        np.savez(buffer, key=payload, kind=payload, values=payload, fold=payload)
        path.write_bytes(buffer.getvalue())
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("schema.json", '{"__class__": "system", "__module__": "os"}')
            file.writestr("archive/data.pkl", pickle.dumps(Payload(executed)))
    return f"{what} with a payload"


def in_zip(path: Path, rng: random.Random, executed: Path) -> str:
    """Change a member of a zip file of torch, NumPy or skops, with matching checksums."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = rng.choice(sorted(members))
    what = rng.choice(("bytes", "remove", "payload", "json", "empty"))
    content = bytearray(members[name])
    if what == "bytes" and content:
        for _ in range(rng.choice((1, 5))):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif what == "payload":
        content[:] = pickle.dumps(Payload(executed))
    elif what == "empty":
        content.clear()
    elif what == "json" and name.endswith(".json"):
        value, what = _changed(json.loads(content), rng)
        content[:] = _dumped(value).encode(errors="surrogatepass")
    members[name] = bytes(content)
    if what == "remove":
        del members[name]
    with zipfile.ZipFile(path, "w") as file:
        for member, data in members.items():
            file.writestr(member, data)
    return f"{name}: {what}"


def of_another(path: Path, rng: random.Random, executed: Path) -> str:
    """Replace the file by a copy of another one in its folder or below."""
    files = sorted(p for p in path.parent.rglob("*") if p.is_file() and p != path)
    if not files:
        return in_bytes(path, rng, executed)
    other = rng.choice(files)
    shutil.copyfile(other, path)
    return f"as {other.name}"


def _changed(value: Any, rng: random.Random) -> tuple[Any, str]:
    """Change one part of the data; return the data and a description."""
    places = list(_places(value))
    if not places or rng.random() < 0.05:
        return rng.choice(WRONG), "all of it"
    holder, key = rng.choice(places)
    what = rng.choice(("wrong", "wrong", "wrong", "other", "remove", "add", "deep"))
    if what == "wrong":
        holder[key] = new = rng.choice(WRONG)
        return value, f"{key}: {repr(new)[:60]}"
    if what == "other":
        other, name = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[name]))
        return value, f"{key} as {name}"
    if what == "remove":
        del holder[key]
    elif what == "add":
        if isinstance(holder, dict):
            holder[rng.choice(("", "x", "__class__", "0"))] = rng.choice(WRONG)
        else:
            holder.insert(key, rng.choice(WRONG))
    else:
        depth = rng.choice(DEEP)
        holder[key] = nested(rng, depth)
        what = f"{depth} levels"
    return value, f"{key}: {what}"


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every part of some data, as its container and its key."""
    found: list[tuple[Any, Any]] = []
    left = [value]
    while left:
        holder = left.pop()
        if isinstance(holder, dict | list):
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            found += [(holder, key) for key in keys]
            left += [holder[key] for key in keys]
    return found


def _dumped(value: Any) -> str:
    """Encode as JSON, also if the data is nested too deeply for the encoder."""
    try:
        return json.dumps(value)
    except RecursionError:
        return "[" * DEEP[-1] + "]" * DEEP[-1]
