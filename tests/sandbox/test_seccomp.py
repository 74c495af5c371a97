"""The filter's numbers agree with the system's own headers, and the program is well formed."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from auricle.sandbox.seccomp import REFUSED, WATCHED, seccomp_program

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
    for name, numbers in {**REFUSED, **WATCHED}.items():
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
    ],
)
def test_each_call_gets_its_answer(number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert run(seccomp_program("x86_64"), number, arguments=arguments) == expected


def test_another_architectures_calls_are_fatal() -> None:
    assert run(seccomp_program("x86_64"), 0, arch=0x40000003) == KILL
    assert run(seccomp_program("aarch64"), 63, arch=0xC00000B7) == ALLOW


def test_a_processor_that_is_not_known_has_no_filter() -> None:
    assert seccomp_program("riscv64") == b""
