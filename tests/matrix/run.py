"""Runs the cases: makes each implementation's program file, damages it in every way, and offers it."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.matrix import damage
from tests.matrix.implementations import implementations
from tests.matrix.model import prepare
from tests.matrix.process import Host

TRIED = frozenset({"refused-by-driver", "crashed-the-driver", "wrong-results"})
"""Codes of binaries that a worker process found out."""
CaseName = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """One case. ``reason`` is the code under which the file was turned down, or ``used``."""

    device: str
    kind: str
    """One of ``report.KINDS``."""
    what: str
    number: int
    """Which one of those with the same kind and description."""
    reason: str
    right: bool
    alive: bool
    detail: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> CaseName:
        return case_name(self.device, self.kind, self.what, self.number)

    @property
    def good(self) -> bool:
        """Whether the results were right, the process lived, and the code is one that fits."""
        return self.right and self.alive and self.reason in fitting(self.kind, self.what)


class Case(NamedTuple):
    """A file to offer: with the good one behind it, unless ``alone``; then what it lacks is compiled."""

    device: str
    kind: str
    what: str
    number: int
    make: Callable[[], bytes]
    alone: bool = False

    @property
    def name(self) -> CaseName:
        return case_name(self.device, self.kind, self.what, self.number)


def case_name(device: str, kind: str, what: str, number: int) -> CaseName:
    """What a case is known by from run to run. Flips go by their numbers: where they hit changes with the binary."""
    return device, kind, str(number) if kind in ("flip", "aimed") else what


def fitting(kind: str, what: str) -> frozenset[str]:
    """The codes that a case may end with. A flip may hit what is never run, and some drivers pass over what follows."""
    match kind:
        case "foreign":
            return frozenset({"other-device"})
        case "damaged":
            return frozenset({"damaged"})
        case "afterwards":
            return frozenset({"clean"})
        case "cut" if what != "100 bytes more":
            return TRIED
    return TRIED | {"used"}


def run(
    names: list[str], folder: Path, flips: int, aimed: int, done: Container[CaseName] = frozenset()
) -> Iterator[Result]:
    """Every case on these implementations that is not done, result by result."""
    prepare(folder)
    every = implementations()
    with ExitStack() as stack:
        hosts = {name: stack.enter_context(Host(every[name], folder)) for name in names}
        files = {name: compile_on(host) for name, host in hosts.items()}
        for name, host in hosts.items():
            others = {n: f for n, f in files.items() if n != name}
            for case in cases(name, files[name], others, flips, aimed):
                if case.name not in done:
                    yield offer(host, case)
            if case_name(name, "afterwards", "from source", 0) not in done:
                yield afterwards(host)


def compile_on(host: Host) -> bytes:
    """The implementation's own program file. Raises ``RuntimeError`` when it does not compute the model rightly."""
    path = host.folder / f"{host.implementation.name}.bin"
    found = host.ask(files=[], compile=str(path))
    if found is None or not found["right"]:
        raise RuntimeError(f"{host.implementation.name} fails before anything is damaged: {found}")
    return path.read_bytes()


def cases(name: str, good: bytes, others: dict[str, bytes], flips: int, aimed: int) -> Iterator[Case]:
    """What one implementation is offered."""
    for other, data in others.items():
        yield Case(name, "foreign", other, 0, partial(bytes, data), alone=True)
        yield Case(name, "disguised", other, 0, partial(_disguised, good, data), alone=True)
    yield Case(name, "damaged", "cut in half", 0, lambda: good[: len(good) // 2], alone=True)
    yield Case(name, "damaged", "one bit flipped", 0, partial(damage.plain_flip, good), alone=True)
    for what in damage.cuts(b""):
        yield Case(name, "cut", what, 0, partial(_cut, good, what), alone=True)
    for number, (what, which, bit) in enumerate(damage.aimed_flips(good, aimed, seed=1)):
        yield Case(name, "aimed", what, number, partial(damage.flip, good, which, bit))
    for number, (what, which, bit) in enumerate(damage.random_flips(good, flips, seed=2)):
        yield Case(name, "flip", what, number, partial(damage.flip, good, which, bit))


def _disguised(good: bytes, other: bytes) -> bytes:
    binaries = [bytes(e.payload) for e in damage.programs_of(other)]
    return damage.with_binaries(good, lambda n, _: binaries[n % len(binaries)])


def _cut(good: bytes, what: str) -> bytes:
    return damage.with_binaries(good, lambda _, binary: damage.cuts(binary)[what])


def offer(host: Host, case: Case) -> Result:
    """Offer a file and see what becomes of it."""
    path = host.folder / "offered.bin"
    path.write_bytes(case.make())
    good = [] if case.alone else [str(host.folder / f"{case.device}.bin")]
    began = time.monotonic()
    found = host.ask(files=[str(path), *good])
    seconds = round(time.monotonic() - began, 2)
    if found is None:
        return Result(*case[:4], "died", False, False, seconds=seconds)
    turned_down = [r for r in found["reasons"] if r not in ("opened", "hit", "no-entry", "bad-binary")]
    reason = turned_down[0] if turned_down else "used"
    detail = found["details"][0][:200] if found["details"] else ""
    return Result(*case[:4], reason, found["right"], True, detail, seconds)


def afterwards(host: Host) -> Result:
    """Build from source in the home that all cases had, and look for what drivers have left there."""
    found = host.ask(files=[])
    right = found is not None and found["right"]
    left = host.driver_files()
    reason = "driver-cache" if left else "clean"
    name = host.implementation.name
    return Result(name, "afterwards", "from source", 0, reason, right, found is not None, str(left[:3]))
