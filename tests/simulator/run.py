"""Runs cases under oclgrind, each in a process of its own, and gathers what it complains about."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from tests.simulator.separate import SeparateContext

LIBRARY = Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so")
LOG = "OCLGRIND_LOG"
BUILD_OPTIONS = "OCLGRIND_BUILD_OPTIONS"
UNINITIALIZED = "OCLGRIND_UNINITIALIZED"
ENVIRONMENT = {
    "MACE_OPENCL_LIBRARIES": str(LIBRARY),
    "OCLGRIND_CHECK_API": "1",
    "OCLGRIND_DATA_RACES": "1",
    UNINITIALIZED: "1",
    "OCLGRIND_MAX_ERRORS": "1000000",
    # The checker of uninitialised values stops at instructions that the optimiser makes of divisions.
    BUILD_OPTIONS: "-cl-opt-disable",
}
COMPLAINT_LIMIT = 4000
"""Characters of a case's complaints that are kept."""
CASE_SECONDS = 900
"""After so long a case is given up, unless it is told otherwise."""


def serve(names: Sequence[str], kind: str, seconds: int = CASE_SECONDS) -> None:
    """Child process: run each case in a process of its own and print, one line each, what the simulator wrote meanwhile.

    One process for all would let what the simulator remembers of one case's memory hide what another does.
    """
    import tests.simulator.separate  # noqa: F401 - once, not in each process
    from tests.simulator.cases import find_cases

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # reference operators print
    for case in find_cases(names):
        Path(os.environ[LOG]).unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(seconds)
                print(json.dumps(_simulate(case, kind)), file=answers, flush=True)
                code = 0
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            death = "" if status == -signal.SIGALRM else f"the process ended with {status}"
            reason = f"took longer than {seconds} s" if status == -signal.SIGALRM else ""
            print(json.dumps({"name": case.name, "log": death, "reason": reason}), file=answers, flush=True)


def _simulate(case: Any, kind: str) -> dict[str, Any]:
    """``case`` is one of onnx's, run on that kind of device, or one of ours, which knows its own."""
    from tests.simulator.devices import IMAGES
    from tests.simulator.peaks import Peaks
    from tests.simulator.separate import separate_context
    from tests.simulator.templates import Case

    began = time.perf_counter()
    if isinstance(case, Case | Peaks):
        kind = case.kind
    if kind == IMAGES:
        del os.environ[UNINITIALIZED]
    context = separate_context("oclgrind", kind)
    if isinstance(case, Peaks):
        case.run(context)
        reason, kernels = "", {template: template for template in case.templates}
    else:
        reason, kernels = _judge(case, context)
    log = Path(os.environ[LOG])
    return {
        "name": case.name,
        "log": log.read_text(errors="replace")[:COMPLAINT_LIMIT] if log.exists() else "",
        "reason": reason,
        "seconds": round(time.perf_counter() - began, 2),
        "templates": sorted(
            set(map(with_images, kernels.values())) - {""} if kind == IMAGES else set(kernels.values())
        ),
        "kernels": sorted(kernels),
    }


def _judge(case: Any, context: SeparateContext) -> tuple[str, dict[str, str]]:
    """Why the results are wrong, empty where they are right; and the kernels launched with their templates."""
    import mace.engine.preparation
    from mace import onnx_backend
    from mace.execution import transfers
    from mace.tuning.database import TuningDatabase
    from tests.onnx_suite.cases import judge
    from tests.simulator.memory import values_apart
    from tests.simulator.separate import SeparateExecutor
    from tests.simulator.templates import Case, Wanted

    kernels: dict[str, str] = {}
    onnx_backend._contexts["oclgrind"] = context
    with ExitStack() as stack, values_apart() as lanes:

        class Noting(SeparateExecutor):
            def __init__(self, plan: Any, *args: Any, **options: Any) -> None:
                for kernel in (plan.kernels[launch.kernel] for launch in plan.launches):
                    kernels.update(zip(kernel.names, kernel.template.split("+"), strict=True))
                super().__init__(plan, *args, **options)

        Noting.lanes = lanes
        stack.enter_context(patch.object(mace.engine.preparation, "Executor", Noting))
        stack.enter_context(patch.object(transfers, "IN_PLACE_BYTES", 1))
        if not isinstance(case, Case):
            verdict = judge(case, "oclgrind")
            return "" if verdict.passed else verdict.reason, kernels
        wanted, load = Wanted(case, context.device.traits), partial(onnx_backend.load, options=case.options)
        stack.enter_context(patch.object(TuningDatabase, "lookup", lambda _, *problem: wanted.lookup(*problem)))
        stack.enter_context(patch.object(onnx_backend, "load", load))
        verdict = judge(case.test_case(), "oclgrind")
        missed = sorted(set(case.templates) - set(kernels.values()))
        return verdict.reason or (f"did not launch {', '.join(missed)}" if missed else ""), kernels


def with_images(template: str) -> str:
    """What a template counts as where images are images and it is not looked through for everything; nothing if it reads none."""
    from mace.plan.source import template_text

    return f"{template} (images)" if "image2d_t" in template_text(template) else ""


def check(
    names: Sequence[str],
    processes: int = 1,
    told: IO[str] | None = None,
    kind: str = "itself",
    seconds: int = CASE_SECONDS,
) -> list[dict[str, Any]]:
    """What became of these cases: ``name``, ``log`` (empty when clean) and ``reason`` (empty when the results were right).

    Those of cases that did not end their process also have ``seconds``, ``templates`` and ``kernels``, the kernel templates
    and the kernels launched; a kernel's name holds a digest of its source. ``told`` gets each as a line of JSON at once.
    ``kind`` is what the simulator stands in for where onnx's own cases run (see ``devices.py``); a case is given up after
    ``seconds``.
    """
    shares = [names[i::processes] for i in range(processes)]
    options = ["--device", kind, "--seconds", str(seconds)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(processes) as pool:
        found = pool.map(lambda i: _run(shares[i], options, Path(folder, f"{i}.log"), told), range(processes))
        return [result for results in found for result in results]


def _run(names: Sequence[str], options: Sequence[str], log: Path, told: IO[str] | None) -> list[dict[str, Any]]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulator", *options, "--serve"]
    environment = {**os.environ, **ENVIRONMENT, LOG: str(log)}
    results: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryFile("w+") as wanted,
        tempfile.TemporaryFile("w+") as errors,
    ):
        wanted.write("".join(f"{name}\n" for name in names))
        wanted.seek(0)
        server = subprocess.Popen(
            command, env=environment, stdin=wanted, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        with server:
            assert server.stdout is not None
            for line in server.stdout:
                results.append(json.loads(line))
                if told:
                    print(line, end="", file=told, flush=True)
        if server.returncode or len(results) < len(set(names)):
            errors.seek(0)
            raise RuntimeError(f"cases could not be run under oclgrind: {errors.read()[-2000:]}")
    return results
