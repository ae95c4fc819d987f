"""Whose bytes may reach a driver. An OpenCL binary is native code.

Three policies: ``own`` (the default) takes what mace wrote for this user on this machine, and what a trusted key
signed; ``signed`` takes only what a trusted key signed; ``any`` is the explicit opt-in. Why a file counts as own is
written in docs/adr/0007-own-files.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from mace.errors import TrustError
from mace.files.stamps import StampBook
from mace.records import record

if TYPE_CHECKING:
    from mace.program.codec import Seal
    from mace.program.keys import TrustStore

TrustPolicy = Literal["own", "signed", "any"]
OWN_STAMP = "own"


class Origin(StrEnum):
    """Why a file is trusted."""

    OWN = "written by mace for this user on this machine"
    SIGNED = "signed by a trusted key"
    OPTED_IN = "taken as it is, because the call said so"


@record
class Verdict:
    """A file's origin, and the name of the key that signed it."""

    origin: Origin
    signer: str = ""


@record
class Trust:
    """A policy with what it needs to judge: the stamps of own files, and the trust store."""

    policy: TrustPolicy = "own"
    stamps: StampBook | None = None
    store: TrustStore | None = None

    def judge(self, seal: Seal) -> Verdict:
        """Why these bytes, whose hash was found right, are trusted. Raises ``TrustError`` when they are not."""
        if self.policy == "any":
            return Verdict(Origin.OPTED_IN)
        if self.policy == "own" and self.is_own(seal.digest):
            return Verdict(Origin.OWN)
        if seal.header is None or not seal.header.is_signed:
            raise TrustError(
                "was not written by mace for this user on this machine, and it is not signed",
                field="signature",
                hint="Have it signed by a key of the trust store, or pass trust='any' if you know where it comes from",
            )
        from mace.program.keys import TrustStore

        return Verdict(Origin.SIGNED, (self.store or TrustStore()).signer(seal.header).name)

    def is_own(self, digest: str) -> bool:
        """Whether mace wrote a file of this digest for this user on this machine."""
        return (self.stamps or StampBook()).get(OWN_STAMP, digest) is not None

    def note_own(self, digest: str) -> bool:
        """Remember that this user's mace wrote a file of this digest."""
        return (self.stamps or StampBook()).put(OWN_STAMP, digest, {})
