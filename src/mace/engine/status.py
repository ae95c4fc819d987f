"""Outcome of a call, as MACE's API names it (``mace::MaceStatus``)."""

from __future__ import annotations

from enum import IntEnum

from mace.errors import InputError, MaceError


class MaceStatus(IntEnum):
    """Numbers as in upstream MACE's ``mace.h``."""

    MACE_SUCCESS = 0
    MACE_INVALID_ARGS = 1
    MACE_OUT_OF_RESOURCES = 2
    MACE_UNSUPPORTED = 3
    MACE_RUNTIME_ERROR = 4

    @classmethod
    def of(cls, error: MaceError | None) -> MaceStatus:
        """The status that stands for an error, or success for None."""
        from mace.errors import UnsupportedOperatorError

        if error is None:
            return cls.MACE_SUCCESS
        if isinstance(error, InputError):
            return cls.MACE_INVALID_ARGS
        if isinstance(error, UnsupportedOperatorError):
            return cls.MACE_UNSUPPORTED
        return cls.MACE_RUNTIME_ERROR
