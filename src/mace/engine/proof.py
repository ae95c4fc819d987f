"""The proof that a binary must give before it is loaded into this process.

The worker that compiles a program notes what each kernel makes of a fixed filling of memory; the note is kept beside the
binary. Before a binary that was never loaded on this device and driver comes near this process, another worker runs
the same trials on it, and what it computes must be what was noted, bit for bit: the code is the same and so is the
device. This finds binaries that damage has changed, though every hash in the file holds. It is no defence against a
file made with evil intent, whose note would have been made with it: trust is (``mace.program.trust``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mace.files.stamps import StampBook
from mace.program.content import OUTPUTS
from mace.program.reasons import Reason

if TYPE_CHECKING:
    from mace.engine.trials import UnitTrials
    from mace.opencl.device import Device
    from mace.opencl.jobs import Outcome, Trial
    from mace.program.content import Bytes, Entry

PROVED = "proved"
"""Kind of the stamps that binaries earn by computing the right numbers in a worker."""
AGREED = "agreed"
"""Kind of the stamps of binaries whose specialised kernels compute what general variants do."""
PROOF_SECONDS = 120.0
"""How long all trials of one binary may take. A good binary needs a run's time and a process's start; a simulator,
a thousand times that."""


class Failure(NamedTuple):
    """Why a binary is not to be loaded. ``lasting`` says whether it is the binary's own fault."""

    reason: Reason
    detail: str
    lasting: bool = True


def note_outputs(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Descriptive data for an entry, from what its trials computed."""
    return {OUTPUTS: dict(outputs)}


def noted_outputs(entry: Entry) -> Mapping[str, str]:
    """What the entry says its kernels compute; empty when it does not say."""
    noted = entry.meta.get(OUTPUTS)
    return {str(k): str(v) for k, v in noted.items()} if isinstance(noted, Mapping) else {}


def judge(outcome: Outcome, trials: Iterable[Trial], wanted: Mapping[str, str]) -> Failure | None:
    """What a worker's outcome says against a binary; None when every trial computed what is ``wanted``."""
    from mace.opencl.jobs import Done, Refused

    if isinstance(outcome, Refused):
        return Failure(Reason.REFUSED, str(outcome.error))
    if not isinstance(outcome, Done):
        return Failure(Reason.CRASHED, str(outcome))
    wrong = [t.kernel for t in trials if outcome.outputs.get(t.digest) != wanted.get(t.digest)]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Failure(Reason.WRONG_RESULTS, f"{wrong[0]}{more} did not compute what was noted")
    return None


class Prover:
    """Tries binaries for one device, and remembers those that did well."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._stamps = StampBook()

    def stamp(self, binary: Bytes) -> None:
        """Note that this binary has proved itself on this device and driver."""
        self._stamps.put(PROVED, self._key(binary), {})

    def has_proved(self, binary: Bytes) -> bool:
        """Whether it did so here before."""
        return self._stamps.get(PROVED, self._key(binary)) is not None

    def stamp_agreed(self, binary: Bytes) -> None:
        """Note that what this binary computes was compared with general variants here, and is right."""
        self._stamps.put(AGREED, self._key(binary), {})

    def has_agreed(self, binary: Bytes) -> bool:
        """Whether that was done here before."""
        return self._stamps.get(AGREED, self._key(binary)) is not None

    def try_entry(
        self, entry: Entry, options: str, unit: UnitTrials, wanted: Mapping[str, str] | None = None
    ) -> Failure | None:
        """Run the trials on the entry's binary in a worker of its own; None when all went as noted, and then stamp it.

        ``wanted`` stands in for the entry's own note. Raises ``DeviceError`` where no worker can be started.
        """
        from mace.opencl.jobs import ProofJob
        from mace.opencl.pool import compile_all

        wanted = noted_outputs(entry) if wanted is None else wanted
        missing = [t.kernel for t in unit.trials if t.digest not in wanted]
        if missing:
            return Failure(Reason.UNPROVED, f"no note of what {missing[0]} computes", lasting=False)
        job = ProofJob(bytes(entry.payload), options, unit.trials, unit.constants)
        (outcome,) = compile_all(self._device, [job], seconds=PROOF_SECONDS)
        failure = judge(outcome, unit.trials, wanted)
        if failure is None:
            self.stamp(entry.payload)
        return failure

    def _key(self, binary: Bytes) -> str:
        digest = hashlib.sha256(self._device.identity.digest.encode())
        digest.update(binary)
        return digest.hexdigest()
