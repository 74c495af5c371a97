"""The private line to an encoder's process: JSON messages on a socket, arrays in memory files.

A message is a 4-byte big-endian length and that many bytes of a JSON object. Arrays never travel
in messages: we write audio to one memory file and copy features out of another, exactly as many
bytes as were checked. We never map a file that the other side can shrink, and never unpickle.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auricle.encoder.protocol import Answer, NonsenseError, Refusal, read_answer

MAX_MESSAGE_BYTES = 4 << 20
_LENGTH = struct.Struct(">I")
_POLL_S = 0.1


class ChannelClosedError(Exception):
    """The other side is gone."""


class ChannelTimeoutError(Exception):
    """No whole answer came within the time."""


class Channel:
    """Our end of the socket, with a deadline for every step."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    @property
    def child_descriptor(self) -> int:
        """The end that the child inherits."""
        return self._theirs.fileno()

    def close_child_end(self) -> None:
        """Forget the child's end once the child has it."""
        self._theirs.close()

    def close(self) -> None:
        """Close both ends."""
        self._ours.close()
        self._theirs.close()

    def send(self, order: dict[str, Any], *, timeout_s: float) -> None:
        """Send an order; answers come in the order of the orders.

        Args:
            order: What to do; our own JSON.
            timeout_s: How long the other side may leave it in the line.

        Raises:
            ChannelClosedError: The other side died or closed the socket.
            ChannelTimeoutError: The limit passed.
        """
        data = json.dumps(order, allow_nan=False).encode()
        try:
            self._ours.settimeout(timeout_s)
            self._ours.sendall(_LENGTH.pack(len(data)) + data)
        except TimeoutError as error:
            raise ChannelTimeoutError from error
        except OSError as error:
            raise ChannelClosedError from error

    def receive(
        self, kind: type[Answer], *, timeout_s: float, is_alive: Callable[[], bool]
    ) -> Answer | Refusal:
        """Wait for the answer to the oldest order that has none.

        Args:
            kind: The answer that is due.
            timeout_s: Limit for the whole answer, however slowly bytes drip.
            is_alive: Asked while waiting: a forked grandchild may hold the socket open after the
                child itself has died.

        Raises:
            ChannelClosedError: The other side died or closed the socket.
            ChannelTimeoutError: The limit passed.
            NonsenseError: It is longer than `MAX_MESSAGE_BYTES`, or not as `read_answer` has it.
        """
        deadline = time.monotonic() + timeout_s
        (size,) = _LENGTH.unpack(self._receive(_LENGTH.size, deadline, is_alive))
        if not 2 <= size <= MAX_MESSAGE_BYTES:
            raise NonsenseError(f"a message that says it is {size} bytes long")
        return read_answer(self._receive(size, deadline, is_alive), kind)

    def _receive(self, size: int, deadline: float, is_alive: Callable[[], bool]) -> bytes:
        received = bytearray()
        alive = True
        while len(received) < size:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise ChannelTimeoutError
            self._ours.settimeout(min(left_s, _POLL_S) if alive else 0.001)
            try:
                part = self._ours.recv(min(size - len(received), 1 << 16))
            except (TimeoutError, BlockingIOError) as error:
                if not alive:
                    raise ChannelClosedError from error
                alive = is_alive()
                continue
            except OSError as error:
                raise ChannelClosedError from error
            if not part:
                raise ChannelClosedError
            received += part
        return bytes(received)


class MemoryFile:
    """A file without a name that two processes share."""

    def __init__(self, name: str) -> None:
        self._counts_blocks = hasattr(os, "memfd_create")
        if self._counts_blocks:
            self.descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile(prefix=".tmp-auricle-") as stream:
                self.descriptor = os.dup(stream.fileno())

    def close(self) -> None:
        """Give the memory back, once the other side has closed it too."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        self.descriptor = -1  # the number may soon be another file's

    def write(self, array: NDArray[np.float32]) -> None:
        """Make the file hold exactly this array."""
        os.ftruncate(self.descriptor, array.nbytes)
        view = array.reshape(-1).view(np.uint8).data
        place = 0
        while place < len(view):
            place += os.pwrite(self.descriptor, view[place:], place)

    def holds(self, size: int) -> bool:
        """Whether so many bytes lie in the file, and not a hole in their place.

        A hole costs the other side no memory; a copy of it would cost us all that it spans.
        """
        status = os.fstat(self.descriptor)
        is_laid = not self._counts_blocks or status.st_blocks * 512 >= size
        return status.st_size >= size and is_laid

    def read(self, into: NDArray[Any], *, offset: int) -> bool:
        """Copy bytes out of the file; false when it holds fewer than asked for."""
        if not into.size:
            return True
        view = into.reshape(-1).view(np.uint8).data
        place = 0
        while place < len(view):
            count = os.preadv(self.descriptor, [view[place:]], offset + place)
            if not count:
                return False
            place += count
        return True
