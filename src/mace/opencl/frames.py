"""Messages between a worker process and its parent: a JSON header and raw bytes, each with its length in front."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<IQ")
MAX_HEADER = 64 << 20
MAX_PAYLOAD = 1 << 32


class ConversationError(Exception):
    """The other side is gone, or speaks nonsense."""


def send(stream: BinaryIO, header: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message. Raises ``ConversationError`` when nobody reads any longer."""
    text = json.dumps(header).encode()
    try:
        stream.write(_LENGTHS.pack(len(text), len(payload)) + text)
        stream.write(payload)
        stream.flush()
    except (OSError, ValueError) as error:
        raise ConversationError(str(error)) from error


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message. Raises ``ConversationError`` at the end of the stream or for what is no message."""
    header_length, payload_length = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if header_length > MAX_HEADER or payload_length > MAX_PAYLOAD:
        raise ConversationError("a message of impossible length")
    try:
        header = json.loads(_exactly(stream, header_length))
    except ValueError as error:
        raise ConversationError("a message without a readable header") from error
    if not isinstance(header, dict):
        raise ConversationError("a message whose header is no object")
    return header, _exactly(stream, payload_length)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    try:
        data = stream.read(count)
    except (OSError, ValueError) as error:
        raise ConversationError(str(error)) from error
    if len(data) != count:
        raise ConversationError("the other side is gone")
    return data
