import os
import socket
import struct
import threading
import time

import numpy as np
import pytest

from auricle.encoder.channel import (
    MAX_MESSAGE_BYTES,
    Channel,
    ChannelClosedError,
    ChannelTimeoutError,
    MemoryFile,
)
from auricle.encoder.protocol import NonsenseError, Refusal, Sums


def answer_with(channel: Channel, data: bytes, *, close: bool = False) -> threading.Thread:
    other = socket.socket(fileno=os.dup(channel.child_descriptor))
    channel.close_child_end()

    def run() -> None:
        with other:
            other.recv(1 << 16)
            other.sendall(data)
            if not close:
                other.recv(1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def exchange(data: bytes, *, close: bool = False, timeout_s: float = 5.0) -> Sums | Refusal:
    channel = Channel()
    thread = answer_with(channel, data, close=close)
    try:
        channel.send({"op": "x"}, timeout_s=timeout_s)
        return channel.receive(Sums, timeout_s=timeout_s, is_alive=lambda: True)
    finally:
        channel.close()
        thread.join(5)


def test_an_answer_comes_back() -> None:
    data = b'{"ok": true, "parameters": ["0x1.8p+0"], "buffers": []}'
    answer = exchange(struct.pack(">I", len(data)) + data)
    assert answer == Sums(ok=True, parameters=["0x1.8p+0"], buffers=[])


@pytest.mark.parametrize("size", [0, 1, MAX_MESSAGE_BYTES + 1, 0xFFFFFFFF])
def test_a_senseless_length_is_refused_before_reading_on(size: int) -> None:
    with pytest.raises(NonsenseError, match=f"says it is {size} bytes"):
        exchange(struct.pack(">I", size))


def test_half_a_message_and_the_end_is_a_closed_channel() -> None:
    with pytest.raises(ChannelClosedError):
        exchange(struct.pack(">I", 12) + b'{"ok"', close=True)


def test_slow_drips_do_not_move_the_deadline() -> None:
    channel = Channel()
    other = socket.socket(fileno=os.dup(channel.child_descriptor))
    stop = threading.Event()

    def drip() -> None:
        other.send(struct.pack(">I", 1000))
        while not stop.wait(0.02):
            other.send(b" ")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    started = time.monotonic()
    with pytest.raises(ChannelTimeoutError):
        channel.receive(Sums, timeout_s=0.3, is_alive=lambda: True)
    assert time.monotonic() - started < 1.0
    stop.set()
    thread.join()
    other.close()
    channel.close()


def test_a_dead_child_is_noticed_while_a_grandchild_holds_the_socket() -> None:
    channel = Channel()
    with pytest.raises(ChannelClosedError):
        channel.receive(Sums, timeout_s=30, is_alive=lambda: False)
    channel.close()


def test_a_memory_file_gives_back_what_was_written_and_no_more() -> None:
    store = MemoryFile("test")
    values = np.arange(1000, dtype=np.float32).reshape(10, 100)
    store.write(values)
    back = np.empty((4, 100), np.float32)
    assert store.read(back, offset=600 * 4)
    assert np.array_equal(back, values[6:])
    assert not store.read(np.empty((5, 100), np.float32), offset=600 * 4)
    store.write(values[:1])
    assert not store.read(np.empty((2, 100), np.float32), offset=0)
    store.close()


def test_a_hole_in_a_memory_file_holds_nothing() -> None:
    """A file of 64 GB costs its maker no memory until something is written."""
    store = MemoryFile("test")
    os.ftruncate(store.descriptor, 64 << 30)
    assert store.holds(0)
    assert not store.holds(8 << 10)
    os.pwrite(store.descriptor, bytes(16 << 10), 0)
    assert store.holds(16 << 10)
    assert not store.holds(32 << 10)
    os.ftruncate(store.descriptor, 8 << 10)
    assert not store.holds(16 << 10)
    store.close()
