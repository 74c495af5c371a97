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
    ChannelNonsenseError,
    ChannelTimeoutError,
    MemoryFile,
    parse_message,
)


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


def exchange(data: bytes, *, close: bool = False, timeout_s: float = 5.0) -> dict[str, object]:
    channel = Channel()
    thread = answer_with(channel, data, close=close)
    try:
        return channel.exchange({"op": "x"}, timeout_s=timeout_s, is_alive=lambda: True)
    finally:
        channel.close()
        thread.join(5)


def test_an_object_comes_back() -> None:
    assert exchange(struct.pack(">I", 12) + b'{"ok": true}') == {"ok": True}


@pytest.mark.parametrize("size", [0, 1, MAX_MESSAGE_BYTES + 1, 0xFFFFFFFF])
def test_a_senseless_length_is_refused_before_reading_on(size: int) -> None:
    with pytest.raises(ChannelNonsenseError, match=f"says it is {size} bytes"):
        exchange(struct.pack(">I", size))


@pytest.mark.parametrize(
    "data",
    [b"[1, 2]", b"\xff\xfe{}", b"hello, world", b'{"a": NaN}', b"[" * 100_000, b"1" * 10_000],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(ChannelNonsenseError):
        parse_message(data)


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
        channel.exchange({}, timeout_s=0.3, is_alive=lambda: True)
    assert time.monotonic() - started < 1.0
    stop.set()
    thread.join()
    other.close()
    channel.close()


def test_a_dead_child_is_noticed_while_a_grandchild_holds_the_socket() -> None:
    channel = Channel()
    with pytest.raises(ChannelClosedError):
        channel.exchange({}, timeout_s=30, is_alive=lambda: False)
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
