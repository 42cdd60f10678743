"""TCP proxy that breaks connections on request."""

import asyncio
import re
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any, Self, TypeVar

T = TypeVar("T")
CHUNK = 65536
CHANGES = re.compile(rb"INSERT INTO|DELETE FROM|UPDATE \w+ SET")
AT_ONCE = struct.pack("ii", 1, 0)
"""Value of SO_LINGER that makes closing a connection reset it at once."""


class Proxy:
    """Proxy that forwards connections to `target_port` on this machine until told otherwise.

    `cut` looks to clients like a killed service or a failed network: open connections break off,
    and new ones are refused until `restore`. All counters and switches may be used from any
    thread.

    Args:
        target_port: Port of the service, on 127.0.0.1.
        host: Address to listen on.
    """

    def __init__(self, target_port: int, *, host: str = "127.0.0.1"):
        self.host = host
        self.accepted = 0
        """Number of connections that were forwarded."""
        self.refused = 0
        """Number of connections that were reset on arrival, also for lack of a service."""
        self.lost = 0
        """Number of answers that were lost, see `lose_commits`."""
        self._target_port = target_port
        self._is_cut = False
        self._to_refuse = 0
        self._delay_s = 0.0
        self._loses = False
        self._commits = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, host, 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `restore`."""
        self._do(self._break(cut=True))

    def drop(self) -> None:
        """Break every connection; new ones are accepted."""
        self._do(self._break(cut=False))

    def restore(self) -> None:
        """Undo `cut`, `refuse_next`, `delay` and `hold`: forward everything without delay."""
        self._is_cut, self._to_refuse, self._delay_s = False, 0, 0.0
        self._loop.call_soon_threadsafe(self._flows.set)

    def refuse_next(self, number: int) -> None:
        """Reset the next `number` connections on arrival, and break those that are open.

        Clients that keep one connection for long would not notice otherwise.
        """
        self._to_refuse = number
        self.drop()

    def delay(self, seconds: float) -> None:
        """Delay all data in either direction by some seconds."""
        self._delay_s = seconds

    def hold(self) -> None:
        """Accept connections but forward no data until `restore`, like a service that hangs."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def lose_commits(self, loses: bool) -> None:
        """Of every two changes of a database, commit the first but drop its answer, if `loses`."""
        self._loses, self._commits = loses, 0

    def close(self) -> None:
        """Close all connections and stop the proxy."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=30)

    async def _break(self, *, cut: bool) -> None:
        self._is_cut = self._is_cut or cut
        for writer in list(self._open):
            _reset(writer)

    async def _end(self) -> None:
        self._server.close()
        self._flows.set()
        await self._break(cut=True)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(tasks, timeout=10) if tasks else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut or self._to_refuse > 0:
            self._to_refuse = max(0, self._to_refuse - 1)
            self._refuse(writer)
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            self._refuse(writer)
            return
        self.accepted += 1
        both = {writer, there[1]}
        self._open |= both
        if self._is_cut:  # `cut` was called in the meantime
            await self._break(cut=True)
        try:
            losing: list[bool] = []
            await asyncio.gather(
                self._pass(reader, there[1], losing, asks=True),
                self._pass(there[0], writer, losing, asks=False),
            )
        finally:
            self._open -= both
            for end in both:
                end.close()

    def _refuse(self, writer: asyncio.StreamWriter) -> None:
        self.refused += 1
        _reset(writer)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        losing: list[bool],
        *,
        asks: bool,
    ) -> None:
        changed = False
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flows.wait()
                changed = changed or CHANGES.search(data) is not None
                if asks and self._loses and changed and b"COMMIT" in data:
                    changed = False
                    self._commits += 1
                    losing += [True] * (self._commits % 2)
                elif not asks and losing:
                    self.lost += 1
                    raise ConnectionAbortedError
                writer.write(data)
                await writer.drain()
            if not writer.is_closing():
                writer.write_eof()
            return
        _reset(writer)  # the other end has broken off, or is to believe so


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


def free_port() -> int:
    """Return a port that no process is listening on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])
