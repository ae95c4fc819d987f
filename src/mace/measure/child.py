"""One measurement, in this process: started by ``mace.measure.processes`` with a task on standard input."""

from __future__ import annotations

import sys
import time

ENTERED = time.perf_counter()  # before anything of mace or numpy is imported


def main() -> int:
    """Read a task, do it, write its result as JSON to standard output."""
    import json

    from mace.measure.task import Task

    task = Task.from_json(sys.stdin.read())
    if task.work == "start":
        from mace.measure.start import measure_start

        result = measure_start(task, ENTERED)
    elif task.work == "throughput":
        from mace.measure.throughput import measure_throughput

        result = measure_throughput(task)
    else:
        from mace.measure.profile import measure_profile

        result = measure_profile(task)
    json.dump(result, sys.stdout)
    return 0


if __name__ == "__main__":
    from mace.errors import MaceError

    try:
        sys.exit(main())
    except MaceError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
