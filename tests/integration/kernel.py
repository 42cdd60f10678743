"""Notebook session: a real kernel in a process of its own."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.integration.user import MARK, User

Message = dict[str, Any]
WITHIN_S = 120.0


@contextmanager
def private_places(**env: str) -> Iterator[dict[str, str]]:
    """An environment in which a kernel writes nothing to the user's home."""
    place = tempfile.mkdtemp(prefix="nb-", dir="/tmp")  # short: paths of sockets are limited
    try:
        yield os.environ | {"JUPYTER_RUNTIME_DIR": place, "IPYTHONDIR": f"{place}/ipython"} | env
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Kernel:
    """A kernel that runs cells in a user's folder."""

    def __init__(self, user: User, env: dict[str, str]):
        self.manager = KernelManager(
            kernel_name="python3",
            transport="ipc",
            connection_file=f"{env['JUPYTER_RUNTIME_DIR']}/kernel.json",
        )
        self.manager.start_kernel(cwd=str(user.folder), env=env | {MARK: user.mark})
        self.client: BlockingKernelClient = self.manager.client()
        self._connect()

    def _connect(self) -> None:
        self.client.start_channels()
        self.client.wait_for_ready(timeout=WITHIN_S)

    def restart(self) -> None:
        """Restart the kernel, as the notebook's button does."""
        self.client.stop_channels()
        self.manager.restart_kernel()
        self.client = self.manager.client()
        self._connect()

    def run(self, code: str, *, until: Callable[["Outputs"], bool] | None = None) -> "Outputs":
        """Run a cell to its end, or until its outputs satisfy `until`."""
        return self.follow(Outputs(self.client.execute(code)), until)

    def follow(
        self, outputs: "Outputs", until: Callable[["Outputs"], bool] | None = None
    ) -> "Outputs":
        """Collect the further outputs of a cell, to its end or until they satisfy `until`."""
        deadline = time.monotonic() + WITHIN_S
        while not (until or Outputs.ended)(outputs):
            assert not outputs.ended(), f"the cell ended too early: {outputs}"
            assert time.monotonic() < deadline, f"it never came to that: {outputs}"
            outputs.take(self.client.get_iopub_msg(timeout=WITHIN_S))
        return outputs

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


class Outputs:
    """Outputs of one cell."""

    def __init__(self, request: str):
        self.request = request
        self.text = self.errors = ""
        self.shown: dict[str, list[dict[str, str]]] = {}
        """Contents of each output by its display id, in order; the latest is last."""
        self.error = ""
        """Exception that ended the cell; empty if there was none."""
        self.traceback = ""
        self._over = False

    def take(self, message: Message) -> None:
        if message["parent_header"].get("msg_id") != self.request:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            name = {"stdout": "text", "stderr": "errors"}[content["name"]]
            setattr(self, name, getattr(self, name) + content["text"])
        elif kind in ("display_data", "update_display_data"):
            number = content["transient"]["display_id"]
            assert (number in self.shown) == (kind == "update_display_data")
            self.shown.setdefault(number, []).append(content["data"])
        elif kind == "error":
            self.error = f"{content['ename']}: {content['evalue']}"
            self.traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"]))
        elif kind == "status":
            self._over = content["execution_state"] == "idle"

    def ended(self) -> bool:
        return self._over

    def is_training(self) -> bool:
        """Whether the table of running trials was shown."""
        return any("epochs" in data["text/plain"] for all_ in self.shown.values() for data in all_)

    def __repr__(self) -> str:
        return "\n".join([self.text, self.errors, str(self.shown), self.error, self.traceback])
