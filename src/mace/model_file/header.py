"""What a start reads of a ``.mace`` file: everything but the weights is verified, and only the signature is parsed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from typing import NamedTuple

from mace.errors import ModelFileError
from mace.model_file.layout import PREFIX_SIZE, Prefix, unpack_prefix
from mace.model_file.signature import Signature
from mace.tensor import TensorType


class ModelHeader(NamedTuple):
    """What a warm start needs: the model's SHA-256 in hexadecimal, its signature, its path and its size in bytes."""

    sha256: str
    signature: Signature
    path: str
    nbytes: int

    @property
    def name(self) -> str:
        return self.signature.name

    @property
    def inputs(self) -> Mapping[str, TensorType]:
        return self.signature.inputs

    @property
    def outputs(self) -> Mapping[str, TensorType | None]:
        return self.signature.outputs


def read_header(path: str | PathLike[str]) -> ModelHeader:
    """Read and verify all but the weights, and parse only the signature block.

    Raises ``ModelFileError`` for a file that is missing, cut, altered or no ``.mace`` file.
    """
    where, prefix, signature, _ = open_model(path)
    return ModelHeader(prefix.digest.hex(), _signature(signature, where), where, prefix.file_size)


def open_model(path: str | PathLike[str]) -> tuple[str, Prefix, bytes, bytes]:
    """Everything but the weights, verified against the digest."""
    where = os.fspath(path)
    try:
        with open(where, "rb") as file:
            raw = file.read(PREFIX_SIZE)
            prefix = unpack_prefix(raw, os.fstat(file.fileno()).st_size, where)
            signature, header = file.read(prefix.signature_size), file.read(prefix.header_size)
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}", path=where) from error
    if prefix.digest_of(signature, header) != prefix.digest:
        raise ModelFileError("the file was altered: its hash does not hold", path=where, offset=48, field="digest")
    return where, prefix, signature, header


def _signature(raw: bytes, where: str) -> Signature:
    try:
        return Signature.from_bytes(raw)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"malformed: {error}", path=where, offset=PREFIX_SIZE, field="signature") from error
