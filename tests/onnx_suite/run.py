"""Run onnx's own test cases on mace and write the verdicts, one JSON object a line, and the table in the docs.

usage: python -m tests.onnx_suite.run [--device SPEC] [--name intel] [--processes 2] [--match REGEX] [--direct]
                                       [--journal FILE] [--table]

A run of all cases writes ``tests/onnx_suite/verdicts-<name>.jsonl``; a run with ``--match`` replaces the verdicts of the
cases it ran in a file that exists. With ``--table``, ``docs/operators.md`` is written anew from all checked-in verdicts. Each
process takes the next case that waits; a case that kills its process counts as failed.

With ``--direct``, programs run as they come from the compiler (see ``direct``), which halves the time on PoCL. With
``--journal``, each verdict is noted in that file at once, and cases that it holds are not run again: a long run can be broken
off and goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.onnx_suite.verdicts import save_verdicts

SECONDS = 120
"""Time limit for one case."""


def serve(device: str, direct: bool) -> None:
    """Child process: judge the cases whose numbers come in, one a line, and answer one line each."""
    from contextlib import nullcontext

    from tests.onnx_suite.cases import judge, load_cases
    from tests.onnx_suite.direct import straight_from_the_compiler

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # drivers and reference operators print
    cases = load_cases()
    print("ready", file=answers, flush=True)
    with straight_from_the_compiler() if direct else nullcontext():
        for line in sys.stdin:
            print(json.dumps(judge(cases[int(line)], device).to_json()), file=answers, flush=True)


class _Judge:
    """A child process; replaced when a case kills or stalls it."""

    def __init__(self, device: str, direct: bool) -> None:
        module = [sys.executable, "-W", "ignore", "-m", "tests.onnx_suite.run"]
        self.command = [*module, "--serve", "--device", device, *(["--direct"] if direct else [])]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = False

    def ask(self, number: int) -> dict[str, Any] | None:
        """The verdict, or None when the process died or did not answer in time."""
        import threading

        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if not self.ready:
            self.process.stdout.readline()
            self.ready = True
        alarm = threading.Timer(SECONDS, self.process.kill)
        alarm.start()
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            self.process.kill()
            self.start()
            return None
        verdict: dict[str, Any] = json.loads(line)
        return verdict


def run(device: str, processes: int, match: str, *, direct: bool, journal: Path) -> list[dict[str, Any]]:
    """Verdicts of all cases in whose name ``match`` is found, in the package's order."""
    from concurrent.futures import ThreadPoolExecutor
    from queue import SimpleQueue

    from tests.onnx_suite.cases import load_cases

    cases = load_cases()
    wanted = [i for i, c in enumerate(cases) if re.search(match, c.name)]
    noted = {v["name"]: v for v in map(json.loads, journal.read_text().splitlines())} if journal.is_file() else {}
    idle: SimpleQueue[_Judge] = SimpleQueue()
    for _ in range(processes):
        idle.put(_Judge(device, direct))

    def one(number: int) -> dict[str, Any]:
        if known := noted.get(cases[number].name):
            return dict(known)
        child = idle.get()
        verdict = child.ask(number)
        idle.put(child)
        if verdict is None:
            verdict = {"name": cases[number].name, "kind": cases[number].kind, "operators": [], "passed": False}
            verdict |= {
                "reason": "the process died or did not answer in time",
                "host": [],
                "host_float": [],
                "seconds": 0.0,
            }
        with journal.open("a") as notes:
            notes.write(f"{json.dumps(verdict)}\n")
        return verdict

    with ThreadPoolExecutor(processes) as pool:
        verdicts = list(pool.map(one, wanted))
    while not idle.empty():
        idle.get().process.kill()
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="anything that mace understands")
    parser.add_argument("--name", default="", help="of the verdicts' file; without it, nothing is written")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--match", default="")
    parser.add_argument("--direct", action="store_true", help="run programs as they come from the compiler")
    parser.add_argument(
        "--journal", type=Path, default=Path(os.devnull), help="a file of verdicts that a run goes on from"
    )
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.device, options.direct)
        return 0
    verdicts = run(options.device, options.processes, options.match, direct=options.direct, journal=options.journal)
    if options.name:
        save_verdicts(options.name, verdicts, whole=not options.match)
    if options.table:
        from tests.onnx_suite.table import write_table

        write_table()
    for verdict in verdicts:
        if not verdict["passed"]:
            print(f"FAILED {verdict['name']}: {verdict['reason']}")
    passed = sum(v["passed"] for v in verdicts)
    device_only = sum(v["passed"] and not v["host_float"] for v in verdicts)
    print(f"{passed} passed of {len(verdicts)}, {device_only} of them with no float tensor on the host")
    return 0


if __name__ == "__main__":
    sys.exit(main())
