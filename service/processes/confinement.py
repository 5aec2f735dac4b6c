"""What the kernel lets a process give up for itself, so that what it runs can do less; all of it on Linux alone."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 36, 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
GET_FLAGS, SET_FLAGS, INTERFACE_UP = (
    0x8913,
    0x8914,
    1,
)  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP: netdevice(7)
# Looked up before any fork: between fork and exec only the call itself is safe.
_libc = ctypes.CDLL(None, use_errno=True)
_prctl = getattr(_libc, "prctl", None)
_unshare = getattr(_libc, "unshare", None)
PROCESS = Path("/proc/self")


def hide_from_others() -> None:
    """Let processes of the same user look neither into this one's memory nor into its environment."""
    _set(PR_SET_DUMPABLE, 0)


def be_seen() -> None:
    """Undo `hide_from_others`, which a fork inherits."""
    _set(PR_SET_DUMPABLE, 1)


def adopt_orphans() -> None:
    """Have all that ever descends from this process stay below it, also where who started it has ended."""
    _set(PR_SET_CHILD_SUBREAPER, 1)


def forbid_privileges() -> None:
    """Gain nothing by whatever is executed from here on."""
    _set(PR_SET_NO_NEW_PRIVS, 1)


def cut_network() -> bool:
    """Leave this process, which must have one thread, without a network; say whether that was allowed."""
    if _unshare is None:
        return False
    if _unshare(CLONE_NEWNET) == 0:
        _start_loopback()
        return True
    user, group = os.getuid(), os.getgid()
    if _unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    # Without a map, this user would be nobody to whatever asks for names.
    with suppress(OSError):
        (PROCESS / "setgroups").write_text("deny")
        (PROCESS / "uid_map").write_text(f"{user} {user} 1")
        (PROCESS / "gid_map").write_text(f"{group} {group} 1")
    _start_loopback()
    return True


def _start_loopback() -> None:
    """Let processes of this network, which leads nowhere else, reach one another: a new one begins with all down."""
    import fcntl  # not on every system that runs the rest

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        told = fcntl.ioctl(asked, GET_FLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", told)[1] | INTERFACE_UP
        fcntl.ioctl(asked, SET_FLAGS, struct.pack("16sh14x", b"lo", flags))


def can_cut_network() -> bool:
    """Try in a process of its own whether it may be left without a network."""
    if not hasattr(os, "fork"):
        return False
    process = os.fork()
    if process == 0:
        os._exit(0 if cut_network() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def limits_missing() -> list[str]:
    """Return what cannot be limited for the processes of jobs on this machine, in words."""
    missing = []
    if not (PROCESS / "task" / str(os.getpid()) / "children").exists():
        missing.append(
            "memory of several processes, their number, and disk: /proc does not tell them"
        )
    if not can_cut_network():
        missing.append("network: neither a network namespace nor a user namespace may be made")
    return missing


def _set(option: int, value: int) -> None:
    if _prctl is not None:
        _prctl(option, value, 0, 0, 0)
