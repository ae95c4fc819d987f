"""Program files that do not fit, through the whole engine: the right reason, the right result, and the process alive."""

from __future__ import annotations

import hashlib
import random
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mace
from mace.engine.engine import MaceEngine
from mace.program.codec import encode_program
from mace.program.content import Entry, EntryKind, ProgramContent
from mace.program.conversion import encode_as
from mace.program.files import read_program
from tests.engine.models import expected, small_model

SLOW = pytest.mark.slow
X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def program(model_path: Path, device_spec: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good program file of the small model for the device."""
    folder = tmp_path_factory.mktemp("program")
    with mace.load(model_path, device=device_spec, storage=folder / "storage") as engine:
        return engine.save_compiled_program(folder / "m.bin").path.read_bytes()


def run_with(model: Path, device: str, data: bytes, trust: str = "any") -> MaceEngine:
    """Run the model beside such a file and compare with the reference; the engine, closed, for its statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mace.load(model, device=device, compiled_program=data, storage=False, trust=trust) as engine:
            result = engine.run({"x": X})["y"]
    np.testing.assert_allclose(result, expected(small_model(), X), rtol=2e-5, atol=1e-5)
    return engine


def reasons(engine: MaceEngine) -> set[str]:
    return {look["reason"] for look in engine.stats.looks}


def test_a_good_file_is_used(model_path: Path, device_spec: str, program: bytes) -> None:
    """The file by itself is a warm start."""
    engine = run_with(model_path, device_spec, program, "own")
    assert engine.stats.programs_from_source == 0
    assert reasons(engine) == {"opened", "hit"}


@pytest.mark.parametrize(
    "damage", ["flip", *(pytest.param(d, marks=SLOW) for d in ("cut", "longer", "rubbish", "empty"))]
)
def test_damage(model_path: Path, device_spec: str, program: bytes, damage: str) -> None:
    """A damaged file is passed over with its reason and everything is compiled."""
    flipped = bytearray(program)
    flipped[random.Random(3).randrange(0x150, len(program))] ^= 4
    data = {
        "flip": bytes(flipped),
        "cut": program[: len(program) // 2],
        "longer": program + bytes(100),
        "rubbish": b"rubbish" * 100,
        "empty": b"",
    }[damage]
    engine = run_with(model_path, device_spec, data)
    assert engine.stats.programs_from_source > 0
    assert reasons(engine) & {"damaged", "not-a-program"}


def test_a_file_from_elsewhere(model_path: Path, device_spec: str, program: bytes) -> None:
    """The same programs in a file that mace did not write here are refused, and used with the opt-in."""
    elsewhere = encode_as(read_program(program).content, "envelope", compressed=True)
    engine = run_with(model_path, device_spec, elsewhere, "own")
    assert "untrusted" in reasons(engine)
    assert engine.stats.programs_from_source > 0
    assert run_with(model_path, device_spec, elsewhere).stats.programs_from_source == 0


def test_another_driver(model_path: Path, device_spec: str, program: bytes) -> None:
    """Programs of another driver version are a miss with that reason."""
    content = read_program(program).content
    moved = [replace(e, device=e.device and replace(e.device, driver_version="0.0")) for e in content.entries]
    engine = run_with(model_path, device_spec, encode_program(ProgramContent(tuple(moved))).to_bytes())
    assert "other-driver" in reasons(engine)
    assert engine.stats.programs_from_source > 0


@pytest.mark.parametrize("change", ["flips", *(pytest.param(c, marks=SLOW) for c in ("cut", "zeros", "text"))])
def test_altered_behind_a_recomputed_hash(model_path: Path, device_spec: str, program: bytes, change: str) -> None:
    """Binaries that only their hash says are right are tried in a worker; the result is right all the same."""
    rng = random.Random(hashlib.sha256(change.encode()).digest())

    def altered(payload: bytes) -> bytes:
        data = bytearray(payload)
        if change == "flips":
            for _ in range(200):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return {"flips": bytes(data), "cut": payload[: len(payload) // 3], "zeros": payload[:64] + bytes(500)}.get(
            change, b"not a binary"
        )

    entries = []
    for e in read_program(program).content.entries:
        payload = altered(bytes(e.payload)) if e.kind is EntryKind.PROGRAM else e.payload
        entries.append(Entry.make(e.kind, e.key, payload, device=e.device, kernels=e.kernels, meta=e.meta))
    engine = run_with(model_path, device_spec, encode_program(ProgramContent(tuple(entries))).to_bytes())
    assert engine.stats.programs_from_source > 0
    assert reasons(engine) & {"refused-by-driver", "crashed-the-driver"}


def test_two_models_share_a_file(model_path: Path, device_spec: str, tmp_path: Path) -> None:
    """A model of the same shapes with other weights never gets the first one's, though both lie in one folder."""
    import onnx
    from onnx import numpy_helper

    model = small_model()
    weights = model.graph.initializer[0]
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 2, weights.name))
    onnx.save(model, tmp_path / "other.onnx")
    mace.convert(tmp_path / "other.onnx", tmp_path / "other.mace")
    for path, reference in ((model_path, small_model()), (tmp_path / "other.mace", model)) * 2:
        with mace.load(path, device=device_spec, storage=tmp_path / "storage") as engine:
            np.testing.assert_allclose(engine.run({"x": X})["y"], expected(reference, X), rtol=2e-5, atol=1e-5)
    assert engine.stats.programs_from_source == 0
