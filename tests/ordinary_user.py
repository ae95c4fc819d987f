"""Tests of permissions, which bind everybody but the administrator: work is done by a process of another user."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_USER = 65534
"""The user that owns nothing, usually called nobody."""


def let_in(place: Path) -> None:
    """Let everybody pass through the temporary folders above a place."""
    for parent in place.parents:
        if parent.stat().st_mode & 0o001 == 0 and str(parent).startswith(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o011)


def give_to_ordinary_user(place: Path) -> None:
    """Make a folder the other user's where this one is the administrator, and let that user in from above."""
    if os.geteuid() != 0:
        return
    os.chown(place, _USER, _USER)
    let_in(place)


def as_ordinary_user(work: Callable[[], Any]) -> Any:
    """What a function gives in a process whose user is bound by permissions; the administrator borrows another's rights."""
    return as_user(_USER if os.geteuid() == 0 else os.geteuid(), work)


def as_user(user: int, work: Callable[[], Any], *, groups: Sequence[int] = ()) -> Any:
    """What a function gives, through JSON, in a process of this user, of the group of the same number and of ``groups``.

    Raises ``RuntimeError`` with the other process's traceback. Only the administrator can become somebody else.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir("/")
            if os.geteuid() == 0:
                os.setgroups(groups)
                os.setgid(user)
                os.setuid(user)
            answer = {"result": work()}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        try:
            os.write(write, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(data or b'{"error": "the process ended"}')
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]
