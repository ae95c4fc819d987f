"""Program files on disk: read one of any layout, write our own atomically."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mace.errors import ProgramFileError
from mace.files.atomic import atomic_write
from mace.files.mapping import open_file
from mace.program.codec import EncodedProgram, Gate, ProgramFile, decode_program, encode_program
from mace.program.content import Bytes, ProgramContent
from mace.program.limits import DEFAULT_LIMITS, Limits
from mace.records import record

if TYPE_CHECKING:
    from pathlib import Path

    from mace.program.encrypt import Secret

DEFAULT_NAME = "mace_cl_compiled_program.bin"


@record
class SavedProgram:
    """What was written: where, how many entries, how many bytes, and the digest that names them (``Seal.digest``).

    The times are those of a child process that loaded it again, where one did: until all programs were loaded and
    their kernels made, and for one run of each kernel, in seconds. ``compared_kernels`` counts the specialised kernels that
    were compared with general variants for this save; those of binaries that were compared before are not among them.
    """

    path: Path
    entries: int
    bytes: int
    digest: str
    state: os.stat_result
    reload_seconds: float | None = None
    first_run_seconds: float | None = None
    compared_kernels: int | None = None
    compare_seconds: float | None = None


def read_program(
    source: str | os.PathLike[str] | Bytes,
    *,
    verify: bool = True,
    secret: Secret | None = None,
    gate: Gate | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ProgramFile:
    """Read a program file of any layout from a path or from bytes, every hash checked. It says nothing about trust.

    Raises ``StorageError`` when the path cannot be read, else a ``ProgramFileError`` that names the path.
    """
    if isinstance(source, bytes | memoryview | bytearray):
        return decode_program(memoryview(source).toreadonly(), verify=verify, secret=secret, gate=gate, limits=limits)
    data = open_file(source, max_bytes=limits.file_bytes).data
    try:
        return decode_program(data, verify=verify, secret=secret, gate=gate, limits=limits)
    except ProgramFileError as error:
        raise placed(error, source) from error


def write_program(
    path: str | os.PathLike[str],
    content: ProgramContent,
    *,
    compressed: bool = False,
    secret: Secret | None = None,
    mode: int = 0o644,
) -> SavedProgram:
    """Write an unsigned envelope. A reader sees the old file or the new one, never a part. Raises ``StorageError``."""
    encoded = encode_program(content, compressed=compressed, secret=secret)
    return write_encoded(path, encoded, mode=mode)


def write_encoded(path: str | os.PathLike[str], encoded: EncodedProgram, *, mode: int = 0o644) -> SavedProgram:
    """Write a file that was encoded before, atomically. Raises ``StorageError``."""
    from pathlib import Path

    state = atomic_write(path, encoded.pieces, mode=mode)
    header = encoded.header
    return SavedProgram(Path(path), encoded.entries, header.total_bytes, header.digest, state)


def placed(error: ProgramFileError, path: str | os.PathLike[str]) -> ProgramFileError:
    """The same error, naming the file it speaks of."""
    where = error.where
    return type(error)(error.message, path=where.path or path, offset=where.offset, field=where.field, hint=error.hint)
