"""Tests of permissions, which bind everybody but the administrator: work is done by a process of another user."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_USER = 65534
"""The user that owns nothing, usually called nobody."""


def give_to_ordinary_user(place: Path) -> None:
    """Make a folder the other user's where this one is the administrator, and let that user in from above."""
    if os.geteuid() != 0:
        return
    os.chown(place, _USER, _USER)
    for parent in place.parents:
        if parent.stat().st_mode & 0o001 == 0 and str(parent).startswith(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o011)


def as_ordinary_user(work: Callable[[], Any]) -> Any:
    """What a function gives in a process whose user is bound by permissions; the administrator borrows another's rights."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir("/")
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(_USER)
                os.setuid(_USER)
            os.write(write, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return json.loads(data)
