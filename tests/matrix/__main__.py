"""``python -m tests.matrix [--flips N] [--aimed N] [NAME …]``: run the matrix and write its data and its page.

Results are recorded one by one, and a run goes on behind those that there are. ``python -m tests.matrix page`` writes
the page alone, from the data.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mace.version import __version__
from tests.matrix.implementations import implementations, installed
from tests.matrix.process import ROOT
from tests.matrix.report import page
from tests.matrix.run import Result, run

DATA = Path(__file__).with_name("results.jsonl")
PAGE = ROOT / "docs" / "backends.md"


def devices(names: list[str]) -> dict[str, dict[str, str]]:
    """Device and driver of each implementation, as they name themselves."""
    from mace.opencl import select_device

    found = {}
    for name in names:
        info = select_device(implementations()[name].device).info
        driver = f"{info.platform_name} {info.driver_version}"
        found[name] = {"device": info.name, "driver": driver, "platform": info.platform_version}
    return found


def machine() -> str:
    """The processor in one line."""
    from mace.opencl.host import cpu_summary

    return f"{os.cpu_count()} cores, {cpu_summary()}"


def header(names: list[str]) -> dict[str, Any]:
    """When, where and on what."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": date, "machine": machine(), "mace": __version__, "devices": devices(names)}


def recorded(path: Path) -> tuple[dict[str, Any], list[Result]]:
    """The header and the results of a run that ended or was interrupted; a last line that is no whole one is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return (whole[0], [Result(**r) for r in whole[1:]]) if whole else ({}, [])


def main() -> int:
    """Run, print what is bad, write; 1 when anything was bad."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--flips", type=int, default=200, help="random flips per implementation")
    parser.add_argument("--aimed", type=int, default=20, help="additions made multiplications per implementation")
    parser.add_argument("--data", type=Path, default=DATA, help="where the results go, and where a run goes on")
    parser.add_argument("--anew", action="store_true", help="forget the results that there are")
    parser.add_argument("names", nargs="*", help="implementations, or 'page'")
    words = parser.parse_args()
    if words.names != ["page"]:
        names = words.names or installed()
        for name in names:
            os.environ.update(implementations()[name].environment)
        if words.anew or not words.data.exists():
            words.data.write_text(json.dumps(header(names)) + "\n", encoding="utf-8")
        go_on(words.data, names, words.flips, words.aimed)
    about, results = recorded(words.data)
    if words.data == DATA:
        PAGE.write_text(page(about, results), encoding="utf-8")
    bad = [r for r in results if not r.good]
    print(f"{len(results)} cases, {len(bad)} bad")
    return 1 if bad else 0


def go_on(data: Path, names: list[str], flips: int, aimed: int) -> None:
    """Run what is not recorded yet, and record each result as it comes."""
    about, results = recorded(data)
    done = {r.name for r in results}
    lines = [json.dumps(about), *(json.dumps(asdict(r)) for r in results)]
    data.write_text("".join(line + "\n" for line in lines), encoding="utf-8")  # without a last line that was cut off
    with tempfile.TemporaryDirectory(prefix="mace-matrix-") as folder, data.open("a", encoding="utf-8") as file:
        for result in run(names, Path(folder), flips, aimed, done):
            print(json.dumps(asdict(result)), file=file, flush=True)
            mark = "" if result.good else "   <-- BAD"
            print(f"{result.device:9} {result.kind:10} {result.what:16} {result.reason}{mark}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
