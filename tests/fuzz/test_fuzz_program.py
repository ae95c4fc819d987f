from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from mace.errors import MaceError
from tests.fuzz.fuzz_program import run_guided, run_random
from tests.fuzz.readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_a_moment_of_random_changes(name: str) -> None:
    """Changed seeds raise only errors of our own tree."""
    assert run_random(name, 0.3, 1).inputs >= 1


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_read(name: str) -> None:
    """Each reader takes at least one of its seeds as it is, so that a fuzzer begins behind its first checks."""

    def is_read(seed: bytes) -> bool:
        try:
            READERS[name].read(seed)
        except MaceError:
            return False
        return True

    assert any(is_read(seed) for seed in READERS[name].seeds())


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("name", ["table", "upstream", "plan", "model-header"])
def test_a_few_seconds_guided_by_coverage(name: str) -> None:
    """Coverage is seen, grows beyond what the seeds reach, and nothing but errors of our own tree comes out."""
    found = run_guided(name, 3)
    assert found.inputs > 100
    assert found.reached > found.reached_by_seeds > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_minute_of_random_changes(name: str) -> None:
    """The longer form."""
    assert run_random(name, 10.0, 2).inputs > 100


def hostile(name: str) -> list[bytes]:
    """Inputs that random changes hardly come upon: deep nesting, numbers that no int can hold, many dimensions."""
    deep = b"[" * 100_000
    match name:
        case "model-header":
            signature = next(READERS[name].seeds()).partition(b"\0")[0]
            shapes = [[0, 10**20], [1] * 70, [0] * 70, [0, 2**47, 2**47]]
            graph = {"name": "", "opset": 1, "inputs": {}, "outputs": [], "nodes": [], "types": {}}
            headers = [json.dumps({**graph, "constants": {"a": ["float32", s, 0, 0, ""]}}).encode() for s in shapes]
            infinite = json.dumps({**graph, "constants": {}}).encode().replace(b'"opset": 1', b'"opset": 1e999')
            return [deep + b"\0", *(signature + b"\0" + h for h in (deep, infinite, *headers))]
        case "plan":
            plan = next(READERS[name].seeds())
            return [deep, b"[]", plan.replace(b'"arena_bytes":', b'"arena_bytes":1e999,"was":')]
        case _:
            return [deep, b"null", next(READERS[name].seeds()).replace(b'"tried": 40', b'"tried": 1e999')]


@pytest.mark.parametrize("name", ["model-header", "plan", "tuned-parameters"])
def test_hostile_json(name: str) -> None:
    """Each is refused with an error of ours."""
    for data in hostile(name):
        with pytest.raises(MaceError):
            READERS[name].read(data)
