"""Run onnx's own test cases under oclgrind: accesses out of bounds, uninitialised values, data races, wrong API calls.

usage: python -m tests.onnx_suite.oclgrind [--quick | --per-operator 2 | --all] [--match REGEX] [--processes 2] [--choose]

Prints each case that the simulator complains about or that fails there, and exits with 1 if there is any. The simulator
itself always ends with 0; what it found is in its log. ``--quick`` takes the few cases of ``simulated.jsonl``, which
``--choose`` writes after a run: of the clean cases the fastest for each kernel template.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.onnx_suite.simulated import choose, load_simulated, save_simulated
from tests.onnx_suite.verdicts import load_verdicts, representative

LIBRARY = Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so")
LOG = "OCLGRIND_LOG"
ENVIRONMENT = {
    "MACE_OPENCL_LIBRARIES": str(LIBRARY),
    "OCLGRIND_CHECK_API": "1",
    "OCLGRIND_DATA_RACES": "1",
    "OCLGRIND_UNINITIALIZED": "1",
    "OCLGRIND_MAX_ERRORS": "1000000",
    # The checker of uninitialised values stops at instructions that the optimiser makes of divisions.
    "OCLGRIND_BUILD_OPTIONS": "-cl-opt-disable",
}


COMPLAINT_LIMIT = 4000
"""Characters of a case's complaints that are kept."""


def serve(names: Sequence[str]) -> None:
    """Child process: run the cases and print, one line each, what the simulator wrote meanwhile."""
    from unittest.mock import patch

    import mace.engine.preparation
    from mace import onnx_backend
    from tests.onnx_suite.cases import judge, load_cases
    from tests.onnx_suite.separate import SeparateExecutor, separate_context

    templates: set[str] = set()

    class Noting(SeparateExecutor):
        """Notes which kernel templates the cases launch."""

        def __init__(self, plan: Any, *args: Any, **options: Any) -> None:
            templates.update(plan.kernels[launch.kernel].template for launch in plan.launches)
            super().__init__(plan, *args, **options)

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # reference operators print
    log, seen = Path(os.environ[LOG]), 0
    onnx_backend._contexts["oclgrind"] = separate_context("oclgrind")
    wanted = set(names)
    with patch.object(mace.engine.preparation, "Executor", Noting):
        for case in load_cases():
            if case.name not in wanted:
                continue
            templates.clear()
            began = time.perf_counter()
            verdict = judge(case, "oclgrind")
            seconds = round(time.perf_counter() - began, 2)
            text = log.read_text(errors="replace") if log.exists() else ""
            found, seen = text[seen:], len(text)
            reason = "" if verdict.passed else verdict.reason
            print(
                json.dumps(
                    {
                        "name": case.name,
                        "log": found[:COMPLAINT_LIMIT],
                        "reason": reason,
                        "seconds": seconds,
                        "templates": sorted(templates),
                    }
                ),
                file=answers,
                flush=True,
            )


def check(names: Sequence[str], processes: int = 1) -> list[dict[str, Any]]:
    """What became of these cases: ``name``, ``log`` (empty when clean) and ``reason`` (empty when the results were right).

    Those of cases that did not end their process also have ``seconds`` and ``templates``, the kernel templates launched.

    What the simulator remembers of memory that was given back may show up in a later case, so a complaint only counts
    when the case brings it again alone in a process.
    """
    shares = [names[i::processes] for i in range(processes)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(processes) as pool:

        def run(share: int) -> list[dict[str, Any]]:
            log = Path(folder, f"{share}.log")
            results = _run(shares[share], log)
            return [_run([r["name"]], log)[0] if r["log"].strip() else r for r in results]

        return [result for results in pool.map(run, range(processes)) for result in results]


def _run(names: Sequence[str], log: Path) -> list[dict[str, Any]]:
    """Results of these cases, in processes of their own: one for all, and another after each that dies."""
    results: list[dict[str, Any]] = []
    while pending := [n for n in names if n not in {r["name"] for r in results}]:
        command = [sys.executable, "-W", "ignore", "-m", "tests.onnx_suite.oclgrind", "--serve", *pending]
        log.unlink(missing_ok=True)
        environment = {**os.environ, **ENVIRONMENT, LOG: str(log)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode > 0:
            raise RuntimeError(f"cases could not be run under oclgrind: {done.stderr[-2000:]}")
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        results += answers
        if len(answers) < len(pending):  # it died at the first case that has no answer, in the package's order
            order = [v["name"] for v in load_verdicts("intel") if v["name"] in set(pending)]
            death = f"the process ended with {done.returncode}"
            results.append({"name": order[len(answers)], "log": death, "reason": ""})
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the cases of simulated.jsonl: minutes, for each change")
    parser.add_argument("--choose", action="store_true", help="write simulated.jsonl from this run")
    parser.add_argument("--per-operator", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="every case that passes and uses the device")
    parser.add_argument("--match", default="")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--serve", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return 0
    if options.quick:
        chosen = load_simulated()
    elif options.all:
        chosen = [v for v in load_verdicts("intel") if v["passed"]]
    else:
        chosen = representative(options.per_operator)
    began = time.perf_counter()
    results = check([v["name"] for v in chosen if re.search(options.match, v["name"])], options.processes)
    unclean = [r for r in results if r["log"].strip() or r["reason"]]
    for result in unclean:
        print(f"{result['name']}: {result['reason']}\n{result['log'][:1500].strip()}\n")
    if options.choose:
        save_simulated(choose(results))
    took = time.perf_counter() - began
    print(f"{len(results) - len(unclean)} of {len(results)} cases run clean under the simulator in {took:.0f} s")
    return 1 if unclean or not results else 0


if __name__ == "__main__":
    sys.exit(main())
