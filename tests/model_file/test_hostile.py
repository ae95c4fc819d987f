"""Files that are cut, altered, not ``.mace`` at all, or made to mislead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mace.errors import ModelFileError
from mace.graph.ir import Graph, Node
from mace.model_file import load_model, read_header, save_model
from mace.model_file.layout import PREFIX_SIZE, Prefix, unpack_prefix
from mace.tensor import DType, TensorType


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file."""
    path = tmp_path_factory.mktemp("hostile") / "m.mace"
    constants = {"w": np.arange(3000, dtype=np.float32), "k": np.ones(2, np.int64)}
    node = Node("Add", ("x", "w"), ("y",))
    save_model(path, Graph("g", {"x": TensorType(DType.FLOAT32, (3000,))}, ("y",), (node,), constants, {}, 21))
    return path


def _rebuilt(path: Path, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with its header changed and every size and hash put right again, as an attacker would."""
    raw = path.read_bytes()
    prefix = unpack_prefix(raw[:PREFIX_SIZE], len(raw), str(path))
    signature = raw[PREFIX_SIZE : prefix.header_offset]
    data = json.loads(raw[prefix.header_offset : prefix.header_offset + prefix.header_size])
    change(data)
    header = json.dumps(data).encode()
    weights = raw[prefix.weights_offset :]
    start = -(-(PREFIX_SIZE + len(signature) + len(header)) // 4096) * 4096
    draft = Prefix(start + len(weights), len(signature), len(header), start, bytes(32))
    final = Prefix(draft.file_size, len(signature), len(header), start, draft.digest_of(signature, header))
    body = final.pack() + signature + header
    return body + bytes(start - len(body)) + weights


def test_missing_file() -> None:
    """A path that is not there is named."""
    with pytest.raises(ModelFileError, match="nowhere"):
        load_model("/nowhere/m.mace")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no .mace"),
        (b"PK\x03\x04" * 40, "no .mace"),
        (b"MACE" + bytes(100), "compiled-program"),
        (b"MACEMODL", "cut"),
    ],
)
def test_other_files(content: bytes, message: str, tmp_path: Path) -> None:
    """Empty and foreign files are told apart."""
    path = tmp_path / "m.mace"
    path.write_bytes(content)
    for read in (read_header, load_model):
        with pytest.raises(ModelFileError, match=message):
            read(path)


def test_every_cut_is_found(valid: Path, tmp_path: Path) -> None:
    """A file cut anywhere, or longer than it says, is refused."""
    raw = valid.read_bytes()
    path = tmp_path / "m.mace"
    for end in [*range(0, 200, 7), len(raw) // 2, len(raw) - 1]:
        path.write_bytes(raw[:end])
        with pytest.raises(ModelFileError):
            load_model(path)
    path.write_bytes(raw + b"\0")
    with pytest.raises(ModelFileError, match="longer"):
        load_model(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_altered_byte_is_found(valid: Path, data: st.DataObject) -> None:
    """Changing any byte, padding included, makes loading fail with our own error."""
    raw = bytearray(valid.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    path = valid.with_name("altered.mace")
    path.write_bytes(raw)
    with pytest.raises(ModelFileError):
        load_model(path)


def test_altered_weights_are_named(valid: Path, tmp_path: Path) -> None:
    """The error about weights names the constant and the offset; without verification they are believed."""
    raw = bytearray(valid.read_bytes())
    raw[-1] ^= 1
    path = tmp_path / "m.mace"
    path.write_bytes(raw)
    with pytest.raises(ModelFileError, match=r"offset .*constants\.k"):
        load_model(path)
    load_model(path, verify=False)


def _set(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("constants", "w", 2, value=1 << 40),
        _set("constants", "w", 2, value=-64),
        _set("constants", "w", 2, value=3),
        _set("constants", "w", 2, value=True),
        _set("constants", "w", 3, value=8),
        _set("constants", "w", 1, value=[1 << 62, 1 << 62]),
        _set("constants", "w", 1, value=[-3000]),
        _set("constants", "w", 1, value="3000"),
        _set("constants", "w", 0, value="float99"),
        _set("constants", "w", value=None),
        _set("constants", value=[]),
        _set("nodes", 0, "inputs", value=["x", "nothing"]),
        _set("nodes", 0, "outputs", value=["x"]),
        _set("nodes", 0, "attrs", value={"tail": ["expr", [9, []]]}),
        _set("nodes", 0, "attrs", value={"tail": ["expr", [1, [["Relu", [5], "float32", []]]]]}),
        _set("nodes", 0, "attrs", value={"a": ["what", 1]}),
        _set("nodes", 0, value={}),
        _set("nodes", 0, value=7),
        _set("outputs", value=["z"]),
        _set("opset", value="x"),
        _set("inputs", "x", value=["float32", 7]),
        _set("types", value={"y": ["nonsense", []]}),
    ],
)
def test_misleading_headers(change: Callable[[dict[str, Any]], None], valid: Path, tmp_path: Path) -> None:
    """A header with all its hashes right but impossible content is refused with our own error."""
    path = tmp_path / "m.mace"
    path.write_bytes(_rebuilt(valid, change))
    with pytest.raises(ModelFileError):
        load_model(path)


def test_deep_nesting_is_refused(valid: Path, tmp_path: Path) -> None:
    """JSON nested beyond reason does not end the process."""
    path = tmp_path / "m.mace"
    raw = _rebuilt(valid, lambda data: None)
    prefix = unpack_prefix(raw[:PREFIX_SIZE], len(raw), "")
    header = b"[" * 100_000
    signature = raw[PREFIX_SIZE : prefix.header_offset]
    start = -(-(PREFIX_SIZE + len(signature) + len(header)) // 4096) * 4096
    draft = Prefix(start, len(signature), len(header), start, bytes(32))
    final = Prefix(start, len(signature), len(header), start, draft.digest_of(signature, header))
    body = final.pack() + signature + header
    path.write_bytes(body + bytes(start - len(body)))
    with pytest.raises(ModelFileError):
        load_model(path)
