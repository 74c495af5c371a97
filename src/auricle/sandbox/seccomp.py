"""System calls that no encoder needs, refused: a second wall behind the namespaces.

Among them is every way in which a locked process could end or stop one by signal 9 or 19, itself
included: where one ends so, somebody outside did it, and no submission is blamed for that.

The filter is a classic BPF program, written here as bytes because Python's standard library has no
other way. Refused calls fail with EPERM, so a library that only tries one goes on; ``clone3`` fails
with ENOSYS, upon which the C library uses ``clone``, whose flags a filter can see. The numbers are
those of Linux's syscall_64.tbl and asm-generic/unistd.h; a test compares them with the headers.
"""

from __future__ import annotations

import platform
import struct

REFUSED: dict[str, tuple[int | None, int | None]] = {
    # name: (x86_64, aarch64)
    "ptrace": (101, 117),
    "syslog": (103, 116),
    "pivot_root": (155, 41),
    "acct": (163, 89),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "iopl": (172, None),
    "ioperm": (173, None),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "finit_module": (313, 273),
    "kexec_file_load": (320, 294),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
    "quotactl_fd": (443, 443),
}
WATCHED: dict[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "socket": (41, 198),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "setrlimit": (160, 164),
    "prlimit64": (302, 261),
    # Both can ask for any signal in a structure, which a filter cannot read.
    "timer_create": (222, 107),
    "mq_notify": (244, 184),
}
SENDING: dict[str, tuple[int, int, int]] = {
    # name: (x86_64, aarch64, place of the signal among the arguments)
    "kill": (62, 129, 1),
    "tkill": (200, 130, 1),
    "tgkill": (234, 131, 2),
    "rt_sigqueueinfo": (129, 138, 1),
    "rt_tgsigqueueinfo": (297, 240, 2),
    "pidfd_send_signal": (424, 424, 1),
}
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 0x00050001, 0x00050000 | 38, 0x00050000 | 97
_NUMBER, _ARCH, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32  # offsets in struct seccomp_data
_FATAL = (9, 19)  # SIGKILL, SIGSTOP: the two that no process can catch
_F_SETSIG = 10
_TIMED = (0, 15)  # RLIMIT_CPU, RLIMIT_RTTIME: at their end the kernel sends signal 9
_NEW_NAMESPACE = 0x7E020000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: vsock, packet, ... are out
_TIOCSTI = 0x5412


def seccomp_program(machine: str | None = None) -> bytes:
    """The filter for a processor; empty where its numbers are not known here.

    Args:
        machine: As `platform.machine` names it; this one's when None.
    """
    known = _ARCHITECTURES.get(machine or platform.machine())
    if known is None:
        return b""
    place, architecture = known
    program = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    if place == 0:  # x86_64 can also be called by the x32 numbers
        program += [_step(_AT_LEAST, 0x40000000, 0, 1), _step(_RETURN, _KILL)]
    for numbers in REFUSED.values():
        if (number := numbers[place]) is not None:
            program += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _EPERM)]
    for name in ("clone3", "timer_create", "mq_notify"):
        program += [_step(_EQUAL, WATCHED[name][place], 0, 1), _step(_RETURN, _ENOSYS)]
    program += _when(
        WATCHED["clone"][place],
        [
            _step(_LOAD, _FIRST),
            _step(_AND, 0xFF),  # what the parent is sent when the child ends
            *_refuse(_FATAL),
            _step(_LOAD, _FIRST),
            _step(_AND, _NEW_NAMESPACE),
            _step(_EQUAL, 0, 0, 1),
            _step(_RETURN, _ALLOW),
            _step(_RETURN, _EPERM),
        ],
    )
    families = [_step(_LOAD, _FIRST)]
    for family in _FAMILIES:
        families += [_step(_EQUAL, family, 0, 1), _step(_RETURN, _ALLOW)]
    program += _when(WATCHED["socket"][place], [*families, _step(_RETURN, _EAFNOSUPPORT)])
    program += _when(
        WATCHED["ioctl"][place],
        [
            _step(_LOAD, _SECOND),
            _step(_EQUAL, _TIOCSTI, 0, 1),
            _step(_RETURN, _EPERM),
            _step(_RETURN, _ALLOW),
        ],
    )
    for x86, arm, argument in SENDING.values():
        steps = [_step(_LOAD, _FIRST + 8 * argument), *_refuse(_FATAL), _step(_RETURN, _ALLOW)]
        program += _when((x86, arm)[place], steps)
    steps = [_step(_LOAD, _SECOND), _step(_EQUAL, _F_SETSIG, 1, 0), _step(_RETURN, _ALLOW)]
    steps += [_step(_LOAD, _THIRD), *_refuse(_FATAL), _step(_RETURN, _ALLOW)]
    program += _when(WATCHED["fcntl"][place], steps)
    steps = [_step(_LOAD, _FIRST), *_refuse(_TIMED), _step(_RETURN, _ALLOW)]
    program += _when(WATCHED["setrlimit"][place], steps)
    # Without a new limit, a null pointer of two words, it only asks.
    steps = [_step(_LOAD, _THIRD), _step(_EQUAL, 0, 0, 3), _step(_LOAD, _THIRD + 4)]
    steps += [_step(_EQUAL, 0, 0, 1), _step(_RETURN, _ALLOW)]
    steps += [_step(_LOAD, _SECOND), *_refuse(_TIMED), _step(_RETURN, _ALLOW)]
    program += _when(WATCHED["prlimit64"][place], steps)
    return b"".join([*program, _step(_RETURN, _ALLOW)])


def _refuse(values: tuple[int, ...]) -> list[bytes]:
    """Steps that refuse the call if what was loaded is one of some values."""
    return [
        step for value in values for step in (_step(_EQUAL, value, 0, 1), _step(_RETURN, _EPERM))
    ]


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    """One ``struct sock_filter``; jumps count the steps that are left out."""
    return struct.pack("=HBBI", code, when_true, when_false, value)


def _when(number: int, steps: list[bytes]) -> list[bytes]:
    """Steps for one system call alone; they must end in a return."""
    return [_step(_EQUAL, number, 0, len(steps)), *steps]
