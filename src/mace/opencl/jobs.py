"""What a worker process can be asked to do, and what may come of it: plain data, with its form as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mace.errors import BuildError, DeviceError, OpenCLError
from mace.opencl.filling import Filling
from mace.tensor import DType


@dataclass(frozen=True, slots=True)
class BufferArgument:
    """Device memory of this many bytes."""

    nbytes: int


@dataclass(frozen=True, slots=True)
class WeightsArgument:
    """Device memory of weights, of which a :class:`TimingJob` gives each run others; with ``image`` the kernel gets an image of
    that width and height that holds them, the same at each run."""

    nbytes: int
    image: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ZeroedArgument:
    """Device memory of this many bytes, all zero before the run."""

    nbytes: int


@dataclass(frozen=True, slots=True)
class LocalArgument:
    """Local memory of this many bytes."""

    nbytes: int


@dataclass(frozen=True, slots=True)
class ScalarArgument:
    """A number passed by value."""

    value: int | float
    dtype: DType


@dataclass(frozen=True, slots=True)
class ConstantArgument:
    """Device memory that holds constants: ``nbytes`` from ``start`` of what the job brings, and a digest of them. ``image`` is
    that of :class:`WeightsArgument`."""

    nbytes: int
    start: int
    digest: str
    image: tuple[int, int] | None = None


TrialArgument: TypeAlias = (
    BufferArgument | WeightsArgument | ZeroedArgument | LocalArgument | ScalarArgument | ConstantArgument
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a kernel with the sizes it will have, on memory of its own that holds the same at every run."""

    kernel: str
    arguments: tuple[TrialArgument, ...]
    global_size: tuple[int, ...]
    local_size: tuple[int, ...] | None = None
    filling: Filling = Filling.NUMBERS

    @property
    def digest(self) -> str:
        """What names this very run, constants included wherever they lie: 32 hexadecimal digits."""
        data = self.to_json()
        data["arguments"] = [a[:1] + a[2:] if a[0] == "constant" else a for a in data["arguments"]]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        arguments: list[list[Any]] = []
        for argument in self.arguments:
            match argument:
                case BufferArgument(nbytes):
                    arguments.append(["buffer", nbytes])
                case WeightsArgument(nbytes, image):
                    arguments.append(["weights", nbytes, *(image or ())])
                case ZeroedArgument(nbytes):
                    arguments.append(["zeroed", nbytes])
                case LocalArgument(nbytes):
                    arguments.append(["local", nbytes])
                case ScalarArgument(value, dtype):
                    arguments.append(["scalar", value, dtype.value])
                case ConstantArgument(nbytes, start, digest, image):
                    arguments.append(["constant", start, nbytes, digest, *(image or ())])
        return {
            "kernel": self.kernel,
            "arguments": arguments,
            "global": self.global_size,
            "local": self.local_size,
            "filling": self.filling.value,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        arguments: list[TrialArgument] = []
        for kind, value, *rest in data["arguments"]:
            match kind:
                case "scalar":
                    arguments.append(ScalarArgument(value, DType(rest[0])))
                case "constant":
                    arguments.append(ConstantArgument(rest[0], value, rest[1], _image(rest[2:])))
                case "buffer":
                    arguments.append(BufferArgument(value))
                case "weights":
                    arguments.append(WeightsArgument(value, _image(rest)))
                case "zeroed":
                    arguments.append(ZeroedArgument(value))
                case _:
                    arguments.append(LocalArgument(value))
        local = None if data["local"] is None else tuple(data["local"])
        filling = Filling(data["filling"])
        return cls(data["kernel"], tuple(arguments), tuple(data["global"]), local, filling)


def _image(extents: list[int]) -> tuple[int, int] | None:
    return (extents[0], extents[1]) if extents else None


@dataclass(frozen=True, slots=True)
class CompileJob:
    """Compile a program, create each kernel and run it once, then hand back the binary."""

    source: str | bytes
    """OpenCL C as text, or SPIR-V as bytes."""
    options: str = ""
    trials: tuple[Trial, ...] = ()
    constants: bytes = b""
    """What the trials' constant arguments are taken from."""

    @property
    def payload(self) -> bytes:
        return self.constants + (self.source if isinstance(self.source, bytes) else self.source.encode())

    def to_json(self) -> dict[str, Any]:
        return {
            "action": "compile spirv" if isinstance(self.source, bytes) else "compile",
            "options": self.options,
            "trials": [t.to_json() for t in self.trials],
            "constants": len(self.constants),
        }


@dataclass(frozen=True, slots=True)
class ProofJob:
    """Load a binary, create each kernel and run it: shows that the driver survives it, and what it computes."""

    binary: bytes
    options: str = ""
    trials: tuple[Trial, ...] = ()
    constants: bytes = b""
    """What the trials' constant arguments are taken from."""

    @property
    def payload(self) -> bytes:
        return self.constants + self.binary

    def to_json(self) -> dict[str, Any]:
        return {
            "action": "prove",
            "options": self.options,
            "trials": [t.to_json() for t in self.trials],
            "constants": len(self.constants),
        }


@dataclass(frozen=True, slots=True)
class TimingJob:
    """Load a binary and time its trials, run one after the other as one piece of work, for about ``budget`` seconds.

    The memory holds numbers between 0.5 and 1.5, as nothing should be timed on zeros. Weights are as cold as in a model that has
    ``weights`` bytes of them, while inputs and outputs are as warm as the run before left them.
    """

    binary: bytes
    options: str = ""
    trials: tuple[Trial, ...] = ()
    budget: float = 0.05
    weights: int = 0

    @property
    def payload(self) -> bytes:
        return self.binary

    def to_json(self) -> dict[str, Any]:
        trials = [t.to_json() for t in self.trials]
        numbers = {"budget": self.budget, "weights": self.weights}
        return {"action": "time", "options": self.options, "trials": trials, **numbers}


Job: TypeAlias = CompileJob | ProofJob | TimingJob


@dataclass(frozen=True, slots=True)
class OtherJob:
    """What only the worker of another layer understands, with a command of its own; ``header`` is JSON."""

    header: Mapping[str, Any]
    payload: bytes

    def to_json(self) -> dict[str, Any]:
        return dict(self.header)


AnyJob: TypeAlias = Job | OtherJob


@dataclass(frozen=True, slots=True)
class Done:
    """The job went well. Only a compilation has a ``binary`` (with another layer's job, it is the answer); ``run_seconds`` of
    a timing is the best run's."""

    binary: bytes
    log: str
    build_seconds: float
    create_seconds: float
    run_seconds: float
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Trial's digest → digest of all that it wrote, 32 hexadecimal digits; not of timings."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The driver said no and lives on; ``error`` can be raised as it is."""

    error: DeviceError


DRIVER_SIGNALS = frozenset({"SIGABRT", "SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE", "SIGTRAP"})
"""Signals by which a process ends through a fault of its own."""


@dataclass(frozen=True, slots=True)
class WorkerCrash:
    """The worker died or did not answer in time: whatever it worked on must not reach this process."""

    signal: str
    """Name of the signal that ended it, such as ``SIGABRT``, or an empty text."""
    exit_code: int | None
    timed_out: bool
    stage: str
    """What it was at, such as ``running kernel conv_1a2b``."""
    stderr: str
    """The end of what the driver printed."""

    @property
    def killed_by_driver(self) -> bool:
        """Whether the driver itself ended the process, as its compiler does over vectors that it cannot handle.

        A worker that was too slow, or that the system killed for memory, says nothing about the driver.
        """
        return not self.timed_out and self.signal in DRIVER_SIGNALS

    def __str__(self) -> str:
        how = "did not answer in time" if self.timed_out else f"ended by {self.signal or f'exit code {self.exit_code}'}"
        words = self.stderr.strip().splitlines()
        return f"the driver {how} while {self.stage}" + (f": {words[-1]}" if words else "")


Outcome: TypeAlias = Done | Refused | WorkerCrash


def refusal_to_json(error: DeviceError) -> dict[str, Any]:
    """An error as data, to cross the process border."""
    match error:
        case BuildError():
            return {"kind": "build", "message": error.message, "log": error.log}
        case OpenCLError():
            return {"kind": "opencl", "message": error.message, "code": error.code, "code_name": error.code_name}
    return {"kind": "device", "message": str(error)}


def refusal_from_json(data: Mapping[str, Any]) -> Refused:
    """The refusal a worker told of."""
    message = str(data["message"])
    match data["kind"]:
        case "build":
            return Refused(BuildError(message, log=str(data["log"])))
        case "opencl":
            return Refused(OpenCLError(message, code=int(data["code"]), code_name=str(data["code_name"])))
    return Refused(DeviceError(message))


def trials_from_json(data: Iterable[Mapping[str, Any]]) -> tuple[Trial, ...]:
    return tuple(Trial.from_json(trial) for trial in data)
