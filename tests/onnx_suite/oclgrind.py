"""Run onnx's own test cases under oclgrind: accesses out of bounds, uninitialised values, data races, wrong API calls.

usage: python -m tests.onnx_suite.oclgrind [--quick | --per-operator 2 | --all] [--match REGEX] [--processes 2] [--choose]
                                           [--results FILE]

Prints each case that the simulator complains about or that fails there, and exits with 1 if there is any. The simulator
itself always ends with 0; what it found is in its log. ``--quick`` takes the few cases of ``simulated.jsonl``, which
``--choose`` writes after a run: of the clean cases the fastest for each kernel template.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

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
CASE_SECONDS = 300
"""After so long a case is given up."""


def serve(names: Sequence[str]) -> None:
    """Child process: run each case in a process of its own and print, one line each, what the simulator wrote meanwhile.

    One process for all would let what the simulator remembers of one case's memory hide what another does.
    """
    import tests.onnx_suite.separate  # noqa: F401 - once, not in each process
    from tests.onnx_suite.cases import load_cases

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # reference operators print
    wanted = set(names)
    for case in load_cases():
        if case.name not in wanted:
            continue
        Path(os.environ[LOG]).unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(CASE_SECONDS)
                print(json.dumps(_simulate(case)), file=answers, flush=True)
                code = 0
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            death = "" if status == -signal.SIGALRM else f"the process ended with {status}"
            reason = f"took longer than {CASE_SECONDS} s" if status == -signal.SIGALRM else ""
            print(json.dumps({"name": case.name, "log": death, "reason": reason}), file=answers, flush=True)


def _simulate(case: Any) -> dict[str, Any]:
    from unittest.mock import patch

    import mace.engine.preparation
    from mace import onnx_backend
    from tests.onnx_suite.cases import judge
    from tests.onnx_suite.separate import SeparateExecutor, separate_context

    kernels: dict[str, str] = {}

    class Noting(SeparateExecutor):
        """Notes which kernels the case launches, and of which templates."""

        def __init__(self, plan: Any, *args: Any, **options: Any) -> None:
            kernels.update((k.name, k.template) for k in (plan.kernels[launch.kernel] for launch in plan.launches))
            super().__init__(plan, *args, **options)

    onnx_backend._contexts["oclgrind"] = separate_context("oclgrind")
    began = time.perf_counter()
    with patch.object(mace.engine.preparation, "Executor", Noting):
        verdict = judge(case, "oclgrind")
    log = Path(os.environ[LOG])
    return {
        "name": case.name,
        "log": log.read_text(errors="replace")[:COMPLAINT_LIMIT] if log.exists() else "",
        "reason": "" if verdict.passed else verdict.reason,
        "seconds": round(time.perf_counter() - began, 2),
        "templates": sorted(set(kernels.values())),
        "kernels": sorted(kernels),
    }


def check(names: Sequence[str], processes: int = 1, told: IO[str] | None = None) -> list[dict[str, Any]]:
    """What became of these cases: ``name``, ``log`` (empty when clean) and ``reason`` (empty when the results were right).

    Those of cases that did not end their process also have ``seconds``, ``templates`` and ``kernels``, the kernel templates
    and the kernels launched; a kernel's name holds a digest of its source. ``told`` gets each as a line of JSON at once.
    """
    shares = [names[i::processes] for i in range(processes)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(processes) as pool:
        found = pool.map(lambda i: _run(shares[i], Path(folder, f"{i}.log"), told), range(processes))
        return [result for results in found for result in results]


def _run(names: Sequence[str], log: Path, told: IO[str] | None) -> list[dict[str, Any]]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.onnx_suite.oclgrind", "--serve", *names]
    environment = {**os.environ, **ENVIRONMENT, LOG: str(log)}
    results: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        assert server.stdout is not None
        for line in server.stdout:
            results.append(json.loads(line))
            if told:
                print(line, end="", file=told, flush=True)
        if server.wait() or len(results) < len(set(names)):
            errors.seek(0)
            raise RuntimeError(f"cases could not be run under oclgrind: {errors.read()[-2000:]}")
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the cases of simulated.jsonl: minutes, for each change")
    parser.add_argument("--choose", action="store_true", help="write simulated.jsonl from this run")
    parser.add_argument("--per-operator", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="every case that passes and uses the device")
    parser.add_argument("--match", default="")
    parser.add_argument(
        "--results", type=argparse.FileType("a"), help="add what became of each case, a line of JSON each"
    )
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
    results = check(
        [v["name"] for v in chosen if re.search(options.match, v["name"])], options.processes, options.results
    )
    unclean = [r for r in results if r["log"].strip() or r["reason"]]
    for result in unclean:
        print(f"{result['name']}: {result['reason']}\n{result['log'][:1500].strip()}\n")
    if options.choose:
        save_simulated(choose(results))
    took = time.perf_counter() - began
    kernels = {k for r in results if r not in unclean for k in r["kernels"]}
    print(f"{len(kernels)} kernels were launched by clean cases")
    print(f"{len(results) - len(unclean)} of {len(results)} cases run clean under the simulator in {took:.0f} s")
    return 1 if unclean or not results else 0


if __name__ == "__main__":
    sys.exit(main())
