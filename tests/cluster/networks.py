"""Networks of the nodes: all on loopback, or each in a network of its own that can be cut off.

Each network is a Linux network namespace with an address in 198.18.0.0/15, the range reserved for
such tests. A virtual cable connects it to a bridge that the test creates. No route leads off this
machine.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pytest

LOOPBACK = "127.0.0.1"
MAX_NAME = 15
"""Maximum length of an interface's name, in characters."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Location in which the processes of a node run."""

    address: str
    network: str | None = None
    """Network namespace; None for loopback."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """Command prefix that runs a command there."""
        return () if self.network is None else ("ip", "netns", "exec", self.network)


class Loopback:
    """One location for all nodes: 127.0.0.1, where each node has its own ports."""

    gateway = LOOPBACK

    def add(self) -> Place:
        """Return the location of another node."""
        return Place(address=LOOPBACK)

    def close(self) -> None:
        """Do nothing: there is nothing to remove."""


class Networks:
    """A bridge, and a network for each node; this process is at `gateway`."""

    def __init__(self) -> None:
        self.name = f"fs{os.getpid():x}"[:MAX_NAME]
        self._subnet = _unused_subnet()
        self.gateway = f"{self._subnet}.1"
        self._places: list[Place] = []
        _ip("link", "add", self.name, "type", "bridge")
        _ip("address", "add", f"{self.gateway}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")

    @classmethod
    def made(cls) -> Self:
        """Create the bridge, or skip the test if that is not permitted."""
        if shutil.which("ip") is None:
            pytest.skip("needs networks of its own, and the command ip to make them")
        try:
            return cls()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"needs networks of its own, which it may not make: {error.stderr}")

    def add(self) -> Place:
        """Create a network; return the location of its node."""
        number = len(self._places) + 2
        network, cable, end = (f"{self.name}{kind}{number}" for kind in "nce")
        _ip("netns", "add", network)
        place = Place(address=f"{self._subnet}.{number}", network=network)
        self._places.append(place)
        _ip("link", "add", cable, "type", "veth", "peer", "name", end, "netns", network)
        _ip("link", "set", cable, "master", self.name, "up")
        _ip("-n", network, "link", "set", "lo", "up")
        _ip("-n", network, "address", "add", f"{place.address}/24", "dev", end)
        _ip("-n", network, "link", "set", end, "up")
        _ip("-n", network, "route", "add", "default", "via", self.gateway)
        return place

    def cut_off(self, place: Place) -> None:
        """Drop all packets into and out of a location, without an error to the senders."""
        _ip("link", "set", self._cable(place), "nomaster")

    def reconnect(self, place: Place) -> None:
        """Undo `cut_off`."""
        _ip("link", "set", self._cable(place), "master", self.name)

    def close(self) -> None:
        """Remove the networks and the bridge."""
        for place in self._places:
            assert place.network is not None
            _ip("link", "delete", self._cable(place))
            _ip("netns", "delete", place.network)
        _ip("link", "delete", self.name)

    def _cable(self, place: Place) -> str:
        return f"{self.name}c{self._places.index(place) + 2}"


def _unused_subnet() -> str:
    """Return the first three numbers of addresses that no other test is using.

    Raises OSError if all are in use.
    """
    used = _ip("-o", "-4", "address").stdout
    start = os.getpid()
    for number in range(start, start + 250):
        subnet = f"198.18.{number % 250}"
        if f" {subnet}." not in used:
            return subnet
    raise OSError("198.18.0.0/16 is in use")


def _ip(*words: str) -> "subprocess.CompletedProcess[str]":
    command: Sequence[str] = ("ip", *words)
    return subprocess.run(command, check=True, capture_output=True, text=True)
