"""``python -m tests.matrix [--flips N] [--aimed N] [NAME …]``: run the matrix and write its data and its page.

``python -m tests.matrix page`` writes the page alone, from the data.
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
from tests.matrix.report import page
from tests.matrix.run import ROOT, run

DATA = Path(__file__).with_name("results.json")
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


def as_text(data: dict[str, Any]) -> str:
    """The data as JSON with one result per line."""
    lines = ",\n".join(json.dumps(result) for result in data["results"])
    return json.dumps({**data, "results": []}, indent=1).replace('"results": []', f'"results": [\n{lines}\n]') + "\n"


def main() -> int:
    """Run, print what is bad, write; 1 when anything was bad."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--flips", type=int, default=200, help="random flips per implementation")
    parser.add_argument("--aimed", type=int, default=20, help="additions made multiplications per implementation")
    parser.add_argument("--data", type=Path, default=DATA, help="where the results go")
    parser.add_argument("names", nargs="*", help="implementations, or 'page'")
    words = parser.parse_args()
    if words.names == ["page"]:
        PAGE.write_text(page(json.loads(DATA.read_text())), encoding="utf-8")
        return 0
    names = words.names or installed()
    for name in names:
        os.environ.update(implementations()[name].environment)
    data: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "mace": __version__,
        "devices": devices(names),
        "results": [],
    }
    with tempfile.TemporaryDirectory(prefix="mace-matrix-") as folder:
        for result in run(names, Path(folder), words.flips, words.aimed):
            data["results"].append(asdict(result))
            mark = "" if result.good else "   <-- BAD"
            print(f"{result.device:9} {result.kind:10} {result.what:16} {result.reason}{mark}", flush=True)
    words.data.write_text(as_text(data), encoding="utf-8")
    if words.data == DATA:
        PAGE.write_text(page(data), encoding="utf-8")
    bad = [r for r in data["results"] if not (r["right"] and r["alive"])]
    print(f"{len(data['results'])} cases, {len(bad)} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
