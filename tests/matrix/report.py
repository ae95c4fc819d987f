"""The results as the page ``docs/backends.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

HEAD = """# Damaged and foreign programs, implementation by implementation

Drivers do not check what they load. This page shows what becomes of compiled-program files that are not what they say,
on every OpenCL implementation at hand: each offers its file to each other, and has its own altered *behind hashes that
were made anew*, so that only the trial in a worker process stands between the binary and the program. The model is the
one of `examples/digits`; files are opened with `trust="any"`.

It is made by `make matrix` from `tests/matrix/results.json`, which the same command writes. A case is good when the
results are right and the process lives. How a binary is tried is told in
[the record](adr/0016-noted-outputs.md).
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


def page(data: dict[str, Any]) -> str:
    """The whole page, from the recorded data."""
    return HEAD + "".join(_sections(data))


def _sections(data: dict[str, Any]) -> Iterator[str]:
    results = data["results"]
    bad = [r for r in results if not (r["right"] and r["alive"])]
    yield f"\nRun on {data['date']}, {data['machine']}, mace {data['mace']}: {len(results)} cases, {len(bad)} bad.\n\n"
    yield "| | device | driver |\n|---|---|---|\n"
    for name, device in data["devices"].items():
        yield f"| {name} | {device['device']} | {device['driver']} |\n"
    for kind, sentence in KINDS.items():
        of_kind = [r for r in results if r["kind"] == kind]
        if not of_kind:
            continue
        yield f"\n## {sentence[0].upper()}{sentence[1:]}\n\n"
        yield from (_by_case(of_kind) if kind in ("foreign", "disguised", "damaged", "cut") else _by_count(of_kind))
    yield "\n## What the codes mean\n\n"
    yield from _codes({r["reason"] for r in results})


def _by_case(results: list[dict[str, Any]]) -> Iterator[str]:
    devices = list(dict.fromkeys(r["device"] for r in results))
    yield "| | " + " | ".join(devices) + " |\n" + "|---" * (len(devices) + 1) + "|\n"
    for what in dict.fromkeys(r["what"] for r in results):
        cells = [next((_cell(r) for r in results if r["device"] == d and r["what"] == what), "") for d in devices]
        yield f"| {what} | " + " | ".join(cells) + " |\n"


def _by_count(results: list[dict[str, Any]]) -> Iterator[str]:
    reasons = list(dict.fromkeys(r["reason"] for r in results))
    yield "| | cases | " + " | ".join(reasons) + " | wrong results | process died |\n"
    yield "|---|---" + "|---" * len(reasons) + "|---|---|\n"
    for device in dict.fromkeys(r["device"] for r in results):
        own = [r for r in results if r["device"] == device]
        counts = Counter(r["reason"] for r in own)
        wrong, died = sum(not r["right"] and r["alive"] for r in own), sum(not r["alive"] for r in own)
        numbers = [len(own), *(counts[r] for r in reasons), wrong, died]
        yield f"| {device} | " + " | ".join(map(str, numbers)) + " |\n"


def _cell(result: dict[str, Any]) -> str:
    if not result["alive"]:
        return "**the process died**"
    return result["reason"] if result["right"] else f"{result['reason']}, **wrong results**"


def _codes(codes: Iterable[str]) -> Iterator[str]:
    from mace.program.reasons import Reason

    own = {"used": "the binary was loaded: the damage does not show, or the driver passes over it"}
    own["clean"] = "no driver has left a compiled program on the disk"
    for code in sorted(codes):
        yield f"- `{code}`: {own.get(code) or Reason(code).sentence}\n"
