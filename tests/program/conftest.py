"""Devices, contents and private folders for the tests of the program file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mace.device import DeviceIdentity
from mace.files.stamps import StampBook
from mace.program.content import Entry, KernelRecord, ProgramContent
from mace.program.keys import TrustStore
from mace.program.trust import Trust


@pytest.fixture
def identity() -> DeviceIdentity:
    """A device such as the Intel CPU runtime describes."""
    return DeviceIdentity(
        "Intel(R) OpenCL", "OpenCL 3.1 LINUX", "A CPU", "OpenCL 3.1", "2026.2", 0x8086, "x86_64", "Linux", "1.0.0"
    )


@pytest.fixture
def content(identity: DeviceIdentity) -> ProgramContent:
    """A program, a plan and weights: small, and odd in size."""
    kernels = [KernelRecord("conv_1", "-cl-std=CL1.2", "ab" * 32, (8, 4)), KernelRecord("add", local_size=None)]
    return ProgramContent(
        (
            Entry.make("program", "aa" * 32, b"\x7fELF" + bytes(range(71)), device=identity, kernels=kernels),
            Entry.make("plan", "plan-1", b'{"version":1}', device=identity, meta={"model": {"name": "digits"}}),
            Entry.make("weights", "bb" * 32, bytes(range(256)) * 3 + b"!"),
        )
    )


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """The default policy over stamps and a trust store of this test alone."""
    return Trust("own", StampBook(tmp_path / "state" / "stamps"), TrustStore(tmp_path / "state" / "trust"))
