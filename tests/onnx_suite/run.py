"""Run onnx's own test cases on mace and write the verdicts, one JSON object a line, and the table in the docs.

usage: python -m tests.onnx_suite.run [--device SPEC] [--name intel] [--processes 2] [--match REGEX] [--kinds node,…] [--table]

A run of all cases writes ``tests/onnx_suite/verdicts-<name>.jsonl``; a run with ``--match`` replaces the verdicts of the
cases it ran in a file that exists. With ``--table``, ``docs/operators.md`` is written anew from all checked-in verdicts.
Each process takes the next case that waits; a case that kills its process counts as failed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from typing import Any

from tests.onnx_suite.verdicts import save_verdicts

SECONDS = 120
"""Time limit for one case."""


def serve(device: str, kinds: tuple[str, ...]) -> None:
    """Child process: judge the cases whose numbers come in, one a line, and answer one line each."""
    import os

    from tests.onnx_suite.cases import judge, load_cases

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # drivers and reference operators print
    cases = load_cases(kinds)
    print(len(cases), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(judge(cases[int(line)], device).to_json()), file=answers, flush=True)


class _Judge:
    """A child process; replaced when a case kills or stalls it."""

    def __init__(self, device: str, kinds: str) -> None:
        self.command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.onnx_suite.run",
            "--serve",
            "--device",
            device,
            "--kinds",
            kinds,
        ]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.count = int(self.process.stdout.readline())

    def ask(self, number: int) -> dict[str, Any] | None:
        """The verdict, or None when the process died or did not answer in time."""
        import threading

        assert self.process.stdin is not None
        assert self.process.stdout is not None
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


def run(device: str, kinds: str, processes: int, match: str) -> list[dict[str, Any]]:
    """Verdicts of all cases in whose name ``match`` is found, in the package's order."""
    from concurrent.futures import ThreadPoolExecutor
    from queue import SimpleQueue

    from tests.onnx_suite.cases import load_cases

    cases = load_cases(tuple(kinds.split(",")))
    wanted = [i for i, c in enumerate(cases) if re.search(match, c.name)]
    idle: SimpleQueue[_Judge] = SimpleQueue()
    for _ in range(processes):
        idle.put(_Judge(device, kinds))

    def one(number: int) -> dict[str, Any]:
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
    parser.add_argument("--kinds", default="node")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.device, tuple(options.kinds.split(",")))
        return 0
    verdicts = run(options.device, options.kinds, options.processes, options.match)
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
