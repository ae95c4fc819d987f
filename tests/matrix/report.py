"""The results as the page ``docs/backends.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tests.matrix.run import Result

HEAD = """# Damaged and foreign programs, implementation by implementation

Drivers do not check what they load. This page shows what becomes of compiled-program files that are not what they say,
on every OpenCL implementation at hand: each offers its file to each other, and has its own altered *behind hashes that
were made anew*, so that only the trial in a worker process stands between the binary and the program. The network is a
small one (`tests/matrix/model.py`); files are opened with `trust="any"`.

It is made by `make matrix` from `tests/matrix/results.jsonl`, which the same command writes, case by case; an interrupted
run goes on where it was. A case is good when the results are right, the process lives, and the file was turned down
under a code that fits. How a binary is tried is told in [the record](adr/0016-noted-outputs.md).
"""
KINDS = {
    "foreign": "another implementation's file, as it is",
    "disguised": "another implementation's binaries under this one's identity",
    "damaged": "the file itself damaged, so that its hash does not hold",
    "cut": "binaries shortened, lengthened or replaced",
    "aimed": "one bit flipped, so that an addition multiplies or a multiply-add is negated",
    "flip": "one random bit flipped, every other time in machine code where there is some",
    "afterwards": "built from source in the same home when all is done",
}


NOTES = {
    "aimed": """
A flip that leaves the file `used` hit code that never runs: PoCL's binaries hold each kernel twice, once for any
work-group and once for the one it is run with, and loops for several vector widths. PoCL's cases run in a process each, as
it runs the first code that it loaded under a name again. rusticl's binaries are SPIR-V, where only so many additions are;
Oclgrind's are LLVM bitcode, whose additions are found record by record; those of signed integers are left out, as a loop's
counter that multiplies by one never ends.
""",
    "foreign": """
The identity in the file is compared before any driver sees a byte; what does not fit is compiled from source.
""",
}


def page(about: dict[str, Any], results: list[Result]) -> str:
    """The whole page, from the recorded run."""
    return HEAD + "".join(_sections(about, results))


def _sections(about: dict[str, Any], results: list[Result]) -> Iterator[str]:
    bad = [r for r in results if not r.good]
    yield f"\nRun on {about['date']}, {about['machine']}, mace {about['mace']}: {len(results)} cases, {len(bad)} bad.\n\n"
    yield "| | device | driver |\n|---|---|---|\n"
    for name, device in about["devices"].items():
        yield f"| {name} | {device['device']} | {device['driver']} |\n"
    for kind, sentence in KINDS.items():
        of_kind = [r for r in results if r.kind == kind]
        if not of_kind:
            continue
        yield f"\n## {sentence[0].upper()}{sentence[1:]}\n\n"
        yield from (_by_case(of_kind) if kind in ("foreign", "disguised", "damaged", "cut") else _by_count(of_kind))
        yield NOTES.get(kind, "")
    yield "\n## What the codes mean\n\n"
    yield from _codes({r.reason for r in results})


def _by_case(results: list[Result]) -> Iterator[str]:
    devices = list(dict.fromkeys(r.device for r in results))
    yield "| | " + " | ".join(f"on {d}" for d in devices) + " |\n" + "|---" * (len(devices) + 1) + "|\n"
    for what in dict.fromkeys(r.what for r in results):
        cells = [next((_cell(r) for r in results if r.device == d and r.what == what), "") for d in devices]
        yield f"| {what} | " + " | ".join(cells) + " |\n"


def _by_count(results: list[Result]) -> Iterator[str]:
    reasons = list(dict.fromkeys(r.reason for r in results))
    yield "| | cases | " + " | ".join(reasons) + " | results that were wrong | processes that died |\n"
    yield "|---|---" + "|---" * len(reasons) + "|---|---|\n"
    for device in dict.fromkeys(r.device for r in results):
        own = [r for r in results if r.device == device]
        counts = Counter(r.reason for r in own)
        wrong, died = sum(not r.right and r.alive for r in own), sum(not r.alive for r in own)
        numbers = [len(own), *(counts[r] for r in reasons), wrong, died]
        yield f"| {device} | " + " | ".join(map(str, numbers)) + " |\n"


def _cell(result: Result) -> str:
    if not result.alive:
        return "**the process died**"
    return result.reason if result.right else f"{result.reason}, **wrong results**"


def _codes(codes: Iterable[str]) -> Iterator[str]:
    from mace.program.reasons import Reason

    own = {"used": "the binary was loaded: the damage does not show, or the driver passes over it"}
    own["clean"] = "no driver has left a compiled program on the disk"
    own["driver-cache"] = "a driver has left a compiled program on the disk"
    for code in sorted(codes):
        yield f"- `{code}`: {own.get(code) or Reason(code).sentence}\n"
