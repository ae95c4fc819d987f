"""A binary that was never loaded here must compute what was noted, or what its source computes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import mace
from mace.engine.proof import Prover, noted_outputs
from mace.engine.trials import READ_POSITIONS, trials_of
from mace.files.stamps import StampBook
from mace.opencl import select_device
from mace.opencl.filling import Filling, filled
from mace.opencl.jobs import Done, ProofJob, Trial
from mace.opencl.pool import compile_all
from mace.plan.plan import Plan
from mace.plan.source import template_text
from mace.program.codec import encode_program
from mace.program.content import Entry, EntryKind, ProgramContent, merge
from mace.program.files import read_program
from mace.program.reasons import Reason
from tests.devices import INTEL, device_or_skip
from tests.engine.models import expected, small_model
from tests.matrix.damage import aimed_flips, flip

X = np.random.default_rng(1).standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def compiled(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Plan, str]:
    """The small model's program file, its plan and its device."""
    device = device_or_skip(INTEL).label
    path = tmp_path_factory.mktemp("proof") / "m.bin"
    with mace.load(model_path, device=INTEL, storage=False) as engine:
        engine.run({"x": X})
        engine.save_compiled_program(path)
        return path.read_bytes(), engine.executors()[0].plan, device


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder in which no binary has proved itself."""
    monkeypatch.setenv("MACE_STATE_DIR", str(tmp_path / "state"))


def changed(data: bytes, change: Callable[[Entry], Entry]) -> bytes:
    entries = read_program(data).content.entries
    made = (change(e) if e.kind is EntryKind.PROGRAM else e for e in entries)
    return encode_program(ProgramContent(tuple(made))).to_bytes()


def outputs_of(data: bytes, entry: Entry, plan: Plan) -> dict[str, str] | None:
    """What a binary computes in a worker, or None when it does not get that far."""
    constants = next(e.payload for e in read_program(data).content.entries if e.key == plan.constants_key)
    unit = trials_of(plan, plan.units.index(entry.key), memoryview(constants))
    job = ProofJob(bytes(entry.payload), plan.build_options, unit.trials, unit.constants)
    (outcome,) = compile_all(select_device(INTEL), [job])
    return dict(outcome.outputs) if isinstance(outcome, Done) else None


def run(model: Path, data: bytes, proof: Literal["note", "source"] = "note") -> tuple[bool, set[str], int]:
    """Whether the result is right, the reasons, and how many programs were compiled for use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mace.load(model, device=INTEL, compiled_program=data, storage=False, trust="any", proof=proof) as engine:
            result = engine.run({"x": X})["y"]
    right = np.allclose(result, expected(small_model(), X), rtol=2e-5, atol=1e-5)
    return right, {look["reason"] for look in engine.stats.looks}, engine.stats.programs_from_source


@pytest.fixture(scope="module")
def wrong(compiled: tuple[bytes, Plan, str]) -> tuple[bytes, dict[str, str]]:
    """The file with an arithmetic instruction changed so that results differ, and what the binary computes now."""
    data, plan, _ = compiled
    for _, number, bit in aimed_flips(data, 12, seed=5):
        bad = flip(data, number, bit)
        entry = [e for e in read_program(bad).content.entries if e.kind is EntryKind.PROGRAM][number]
        outputs = outputs_of(data, entry, plan)
        if outputs is not None and outputs != dict(noted_outputs(entry)):
            return bad, outputs
    pytest.fail("none of twelve flips of an arithmetic instruction changes a result")


@pytest.mark.usefixtures("state")
def test_an_addition_made_a_multiplication(model_path: Path, wrong: tuple[bytes, dict[str, str]]) -> None:
    """A binary that loads and runs but computes something else is passed over, and remembered."""
    right, reasons, from_source = run(model_path, wrong[0])
    assert right
    assert Reason.WRONG_RESULTS in reasons
    assert from_source > 0
    right, reasons, _ = run(model_path, wrong[0])
    assert right
    assert Reason.BAD_BINARY in reasons


@pytest.mark.usefixtures("state")
def test_a_forged_note_is_found_by_compiling_the_source(model_path: Path, wrong: tuple[bytes, dict[str, str]]) -> None:
    """A note made for the wrong binary deceives the quick proof, as it must, but not the one against the source."""
    data, outputs = wrong

    def forge(entry: Entry) -> Entry:
        noted = noted_outputs(entry)
        return replace(entry, meta={**entry.meta, "outputs": outputs if outputs.keys() == noted.keys() else noted})

    right, reasons, _ = run(model_path, changed(data, forge), "source")
    assert right
    assert Reason.WRONG_RESULTS in reasons


@pytest.mark.usefixtures("state")
def test_a_good_file_passes_against_its_source(model_path: Path, compiled: tuple[bytes, Plan, str]) -> None:
    """Both proofs take a good binary, once; then it is stamped, and nothing is compiled for use."""
    for _ in range(2):
        right, reasons, from_source = run(model_path, compiled[0], "source")
        assert right
        assert reasons <= {"opened", "hit", "no-entry"}  # there are no tuned parameters
        assert from_source == 0


@pytest.mark.usefixtures("state")
def test_a_binary_without_a_note_is_compiled_anew(model_path: Path, compiled: tuple[bytes, Plan, str]) -> None:
    """What cannot be tried is not loaded, and not held against the binary later."""
    bare = changed(compiled[0], lambda e: replace(e, meta={}))
    right, reasons, from_source = run(model_path, bare)
    assert right
    assert Reason.UNPROVED in reasons
    assert from_source > 0
    right, reasons, from_source = run(model_path, bare)  # the compilation gave the same bytes, so now they are proved
    assert right
    assert from_source == 0 or Reason.UNPROVED in reasons


def test_fillings_are_finite_for_every_type() -> None:
    """Memory is filled with the same finite numbers each time, and differently for each argument."""
    for filling in Filling:
        data = filled(filling, 999_999, 3)
        assert np.array_equal(data, filled(filling, 999_999, 3))
        assert not np.array_equal(data, filled(filling, 999_999, 4))
        assert len(data) == 999_999
        for kind, largest in ((np.float16, 3.0), (np.float32, 32.0), (np.float64, 2.0**33)):
            numbers = data[: 999_999 // 8 * 8].view(kind)
            assert np.isfinite(numbers).all()
            assert np.abs(numbers.astype(np.float64)).max() <= largest
    assert filled(Filling.POSITIONS, 8000, 1).view(np.int64).max() < 5
    assert len(filled(Filling.NUMBERS, 0, 0)) == 0


def test_templates_that_read_positions_exist() -> None:
    """The list names templates there are, and every template with an index type is on it."""
    from importlib import resources

    names = {p.name.removesuffix(".cl") for p in resources.files("mace.kernels").iterdir() if p.name.endswith(".cl")}
    assert names >= READ_POSITIONS
    indexed = {n for n in names if "indices[" in template_text(n) and "_global const" in template_text(n)}
    assert indexed - {"topk"} <= READ_POSITIONS | {"pool_general"}


def test_a_trial_s_name_depends_on_all_of_it() -> None:
    """Trials that differ in anything have other digests, and come back the same from JSON."""
    base = Trial("k", (), (4,), (2,))
    others: list[Any] = [replace(base, kernel="j"), replace(base, global_size=(8,)), replace(base, local_size=None)]
    others.append(replace(base, filling=Filling.POSITIONS))
    assert len({t.digest for t in [base, *others]}) == 5
    assert all(Trial.from_json(t.to_json()).digest == t.digest for t in [base, *others])


@pytest.mark.usefixtures("state")
def test_a_stamp_is_for_one_device(compiled: tuple[bytes, Plan, str], tmp_path: Path) -> None:
    """What proved itself on one device and driver has not on another."""
    device = select_device(INTEL)
    prover = Prover(device)
    assert not prover.has_proved(b"code")
    prover.stamp(b"code")
    assert prover.has_proved(b"code")
    assert not prover.has_proved(b"other code")
    assert StampBook().folder == tmp_path / "state" / "stamps"


@pytest.mark.usefixtures("state")
def test_models_that_share_a_program_are_both_noted(
    model_path: Path, compiled: tuple[bytes, Plan, str], tmp_path: Path
) -> None:
    """Two models of one architecture, merged into one file: each proves the shared program on its own constants."""
    import onnx
    from onnx import numpy_helper

    model = small_model()
    weights = model.graph.initializer[0]
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 2, weights.name))
    onnx.save(model, tmp_path / "other.onnx")
    mace.convert(tmp_path / "other.onnx", tmp_path / "other.mace")
    with mace.load(tmp_path / "other.mace", device=INTEL, storage=False) as engine:
        engine.run({"x": X})
        other = read_program(engine.compiled_program()).content
    both = merge(read_program(compiled[0]).content, other)
    shared = {e.id for e in read_program(compiled[0]).content.entries} & {e.id for e in other.entries}
    assert shared
    data = encode_program(both).to_bytes()
    right, reasons, from_source = run(model_path, data)
    assert right
    assert Reason.UNPROVED not in reasons
    assert from_source == 0
