"""Run cases under oclgrind: accesses out of bounds, uninitialised values, data races, wrong API calls.

usage: python -m tests.simulator [--quick | --own | --suite | --all] [--per-operator N] [--match REGEX] [--device KIND]
                                 [--processes N] [--seconds N] [--choose] [--results FILE]

Prints each case that the simulator complains about or that fails there, and exits with 1 if there is any. The simulator
itself always ends with 0; what it found is in its log. Without options: one of onnx's cases for each operator, and ours,
which are there for the kernel templates that onnx's do not reach. ``--device`` says what the simulator stands in for where
onnx's cases run, such as ``cpu`` or ``gpu``; each of ours knows its own. ``--quick`` takes the few cases of
``chosen.jsonl``, which ``--choose`` writes after a run: of the clean cases the fastest for each kernel template.
"""

from __future__ import annotations

import argparse
import re
import sys
import time

from tests.onnx_suite.verdicts import load_verdicts, representative
from tests.simulator.chosen import choose, load_chosen, save_chosen
from tests.simulator.devices import KINDS
from tests.simulator.run import CASE_SECONDS, check, serve


def _names(options: argparse.Namespace) -> list[str]:
    from tests.simulator.cases import own_cases

    if options.quick:
        return [c["name"] for c in load_chosen()]
    every = options.all or options.suite
    theirs = [v for v in load_verdicts("intel") if v["passed"]] if every else representative(options.per_operator)
    own = [] if options.suite else [c.name for c in own_cases()]
    return [*own, *([] if options.own else (v["name"] for v in theirs))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the cases of chosen.jsonl: minutes, for each change")
    parser.add_argument("--own", action="store_true", help="only ours")
    parser.add_argument("--suite", action="store_true", help="only onnx's, all that pass")
    parser.add_argument("--all", action="store_true", help="ours, and all of onnx's that pass")
    parser.add_argument("--per-operator", type=int, default=1)
    parser.add_argument("--match", default="")
    parser.add_argument("--device", choices=list(KINDS), default="itself")
    parser.add_argument("--choose", action="store_true", help="write chosen.jsonl from this run")
    parser.add_argument(
        "--results", type=argparse.FileType("a"), help="add what became of each case, a line of JSON each"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=CASE_SECONDS, help="a case that takes longer is given up")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(sys.stdin.read().splitlines(), options.device, options.seconds)
        return 0
    began = time.perf_counter()
    names = [name for name in _names(options) if re.search(options.match, name)]
    results = check(names, options.processes, options.results, options.device, options.seconds)
    unclean = [r for r in results if r["log"].strip() or r["reason"]]
    for result in unclean:
        print(f"{result['name']}: {result['reason']}\n{result['log'][:1500].strip()}\n")
    if options.choose:
        save_chosen(choose(results))
    took = time.perf_counter() - began
    kernels = {k for r in results if r not in unclean for k in r["kernels"]}
    print(f"{len(kernels)} kernels were launched by clean cases")
    print(f"{len(results) - len(unclean)} of {len(results)} cases run clean under the simulator in {took:.0f} s")
    return 1 if unclean or not results else 0


if __name__ == "__main__":
    sys.exit(main())
