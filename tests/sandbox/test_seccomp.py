"""The filter's numbers agree with the system's own headers, and the program is well formed."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from auricle.sandbox.seccomp import REFUSED, SENDING, WATCHED, seccomp_program

HEADERS = {
    "x86_64": (
        0,
        ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"],
    ),
    "aarch64": (1, ["/usr/include/asm-generic/unistd.h"]),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_agree_with_the_kernels_headers(machine: str) -> None:
    place, paths = HEADERS[machine]
    header = next((path for path in map(Path, paths) if path.is_file()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    for name, numbers in {**REFUSED, **WATCHED, **SENDING}.items():
        if numbers[place] is not None:
            assert int(found[name]) == numbers[place], name


def run(
    program: bytes, number: int, *, arch: int = 0xC000003E, arguments: tuple[int, ...] = ()
) -> int:
    """A classic BPF machine, as far as the filter uses it."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=iIQ6Q", number, arch, 0, *padded)
    steps = list(struct.iter_unpack("=HBBI", program))
    place, value = 0, 0
    while True:
        code, yes, no, operand = steps[place]
        place += 1
        if code == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        elif code == 0x54:
            value &= operand
        elif code == 0x15:
            place += yes if value == operand else no
        elif code == 0x35:
            place += yes if value >= operand else no
        elif code == 0x06:
            return operand
        else:
            raise AssertionError(code)


ALLOW, KILL, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50061


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (0, (), ALLOW),  # read
        (59, (), ALLOW),  # execve
        (435, (), ENOSYS),  # clone3
        (56, (0x11,), ALLOW),  # clone: fork
        (56, (0x3D0F00,), ALLOW),  # clone: a thread
        (56, (0x10000000,), EPERM),  # clone: a user namespace
        (272, (), EPERM),  # unshare
        (101, (), EPERM),  # ptrace
        (321, (), EPERM),  # bpf
        (425, (), EPERM),  # io_uring_setup
        (41, (1,), ALLOW),  # socket: unix
        (41, (2,), ALLOW),  # socket: internet
        (41, (40,), EAFNOSUPPORT),  # socket: vsock
        (41, (17,), EAFNOSUPPORT),  # socket: packet
        (16, (0, 0x5412), EPERM),  # ioctl: TIOCSTI
        (16, (0, 0x5401), ALLOW),  # ioctl: TCGETS
        (0x40000000 + 59, (), KILL),  # execve by its x32 number
        (62, (1, 9), EPERM),  # kill
        (62, (1, 19), EPERM),
        (62, (1, 15), ALLOW),
        (62, (1, 0), ALLOW),
        (62, (9, 1), ALLOW),  # a process of that number
        (200, (7, 9), EPERM),  # tkill
        (234, (7, 7, 9), EPERM),  # tgkill
        (234, (7, 9, 6), ALLOW),  # what abort() does
        (129, (7, 19), EPERM),  # rt_sigqueueinfo
        (297, (7, 7, 9), EPERM),  # rt_tgsigqueueinfo
        (424, (3, 9), EPERM),  # pidfd_send_signal
        (424, (3, 15), ALLOW),
        (72, (3, 10, 9), EPERM),  # fcntl: F_SETSIG
        (72, (3, 10, 29), ALLOW),
        (72, (3, 4, 9), ALLOW),  # fcntl: F_SETFL
        (56, (9,), EPERM),  # clone: a child whose end sends signal 9
        (56, (0x4113,), EPERM),
        (160, (0,), EPERM),  # setrlimit: RLIMIT_CPU
        (160, (7,), ALLOW),  # setrlimit: RLIMIT_NOFILE
        (302, (0, 0, 0x7F0000000000), EPERM),  # prlimit64: RLIMIT_CPU, a new limit
        (302, (0, 0, 0x1000), EPERM),
        (302, (0, 15, 0x1000), EPERM),  # RLIMIT_RTTIME
        (302, (0, 0, 0), ALLOW),  # only asked
        (302, (0, 7, 0x1000), ALLOW),
        (222, (), ENOSYS),  # timer_create
        (244, (), ENOSYS),  # mq_notify
    ],
)
def test_each_call_gets_its_answer(number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert run(seccomp_program("x86_64"), number, arguments=arguments) == expected


def test_another_architectures_calls_are_fatal() -> None:
    assert run(seccomp_program("x86_64"), 0, arch=0x40000003) == KILL
    assert run(seccomp_program("aarch64"), 63, arch=0xC00000B7) == ALLOW


def test_a_processor_that_is_not_known_has_no_filter() -> None:
    assert seccomp_program("riscv64") == b""
