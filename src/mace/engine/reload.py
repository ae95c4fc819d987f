"""A saved program file is read back and loaded in a child process, which runs every kernel once.

So a driver that gave out an incomplete binary shows at the save, and not at the customer's first start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mace.engine.proof import PROOF_SECONDS, noted_outputs
from mace.engine.trials import trials_of
from mace.errors import ProgramFileError
from mace.opencl.device import Device
from mace.opencl.jobs import Done, ProofJob, Refused
from mace.opencl.pool import WorkerPool
from mace.plan.plan import Plan
from mace.program.content import Entry, EntryKind
from mace.program.encrypt import Secret
from mace.program.files import SavedProgram
from mace.program.opening import open_trusted
from mace.program.trust import Trust


def reload_saved(
    saved: SavedProgram, plans: Sequence[Plan], device: Device, trust: Trust, secret: Secret | None = None
) -> SavedProgram:
    """The same record with the times that loading the file's binaries and their kernels' first runs took in a child.

    Raises ``ProgramFileError`` when a binary that these plans need is missing from the file, does not load, or does not
    compute what was noted when it was compiled; the file is removed then.
    """
    content = open_trusted(saved.path, trust, secret=secret).file.content
    jobs: dict[str, tuple[Entry, ProofJob]] = {}
    for plan in plans:
        weights = content.get(EntryKind.WEIGHTS, plan.constants_key)
        constants = memoryview(weights.payload if weights else b"")
        for number, unit in enumerate(plan.units):
            entry = content.get(EntryKind.PROGRAM, unit, device.identity)
            if entry is None or len(constants) < plan.constants_bytes:
                raise _removed(saved, f"program {unit[:12]} or its constants are missing from it")
            made = trials_of(plan, number, constants)
            jobs[unit] = entry, ProofJob(bytes(entry.payload), plan.build_options, made.trials, made.constants)
    reload_seconds = run_seconds = 0.0
    with WorkerPool(device, 1) as pool:
        outcomes = pool.run_all([job for _, job in jobs.values()], seconds=PROOF_SECONDS)
    for (entry, job), outcome in zip(jobs.values(), outcomes, strict=True):
        if not isinstance(outcome, Done):
            raise _removed(saved, str(outcome.error if isinstance(outcome, Refused) else outcome))
        noted = noted_outputs(entry)
        wrong = [t.kernel for t in job.trials if noted.get(t.digest, "") not in ("", outcome.outputs.get(t.digest))]
        if wrong:
            raise _removed(saved, f"{wrong[0]} does not compute what it did when it was compiled")
        reload_seconds += outcome.build_seconds + outcome.create_seconds
        run_seconds += outcome.run_seconds
    return replace(saved, reload_seconds=reload_seconds, first_run_seconds=run_seconds)


def _removed(saved: SavedProgram, why: str) -> ProgramFileError:
    saved.path.unlink(missing_ok=True)
    return ProgramFileError(f"what was saved does not work when it is loaded again: {why}", path=saved.path)
