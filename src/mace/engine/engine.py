"""``MaceEngine``: a model on a device, ready to run. ``mace.load`` makes one."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Container, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mace.engine.feeds import check_feeds, check_into
from mace.engine.loading import load
from mace.engine.preparation import Preparation
from mace.engine.settings import EngineSettings
from mace.engine.stage import Stage
from mace.engine.stats import EngineStats
from mace.errors import InputError, ProgramFileWarning
from mace.model_file.header import read_header
from mace.opencl.context import Context
from mace.opencl.device import Device
from mace.opencl.discovery import select_device
from mace.opencl.opening import Opening
from mace.program.reasons import Reason
from mace.tensor import Array, TensorType

if TYPE_CHECKING:
    from pathlib import Path

    from mace.execution.executor import Executor
    from mace.graph.ir import Graph
    from mace.program.encrypt import Secret
    from mace.program.files import SavedProgram
    from mace.tuning.database import TuningDatabase
    from mace.tuning.search import TuningReport

__all__ = ["MaceEngine", "load"]

_PASSED_OVER = frozenset(
    {
        Reason.UNREADABLE,
        Reason.NOT_A_PROGRAM,
        Reason.DAMAGED,
        Reason.OVER_LIMIT,
        Reason.UNTRUSTED,
        Reason.LOCKED_UP,
        Reason.NO_FILE,
    }
)


class MaceEngine:
    """A model on a device. A context manager; ``run`` may be called from several threads.

    Everything a start needs is looked for in the storage, then in the designated program files, then in bytes handed in;
    what is missing is compiled from source and saved to the storage.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        device: str | int | Device = "auto",
        *,
        settings: EngineSettings | None = None,
        context: Context | Opening | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> None:
        """Raises ``ModelFileError``, ``NoDeviceError`` or another ``MaceError``; see :func:`mace.load` for the arguments."""
        began = time.perf_counter()
        self.settings = settings or EngineSettings()
        self._header = read_header(model)
        if isinstance(context, Context):
            self._opening = Opening(context.device, context)
        else:
            self._opening = context or Opening(select_device(device), **self.settings.wishes)
        self.device = self._opening.device
        self.stats = EngineStats(device=self.device.label)
        self._library = self.settings.library(self.device.identity, self._header.sha256[:16])
        self._model: Graph | None = None
        record = {"name": self._header.name, "sha256": self._header.sha256}
        self._tunings: TuningDatabase | None = None
        self._preparation = Preparation(
            self._opening, self._library, self.settings, self.stats, record, self.tunings, progress
        )
        signature = self._header.signature
        self._stage = Stage(
            self._header.sha256,
            signature.inputs,
            tuple(signature.outputs),
            signature.deciding,
            self._graph,
            self._preparation,
        )
        self._closed = False
        self._stage.look_ahead()
        self._opening.context()
        self.stats.add_seconds("open", time.perf_counter() - began)

    # ---- what the model takes and gives -----------------------------------------------------------------------------
    @property
    def inputs(self) -> Mapping[str, TensorType]:
        """Input name → type; symbolic dimensions stand by name."""
        return self._header.inputs

    @property
    def outputs(self) -> Mapping[str, TensorType | None]:
        """Output name → type, None where it depends on data."""
        return self._header.outputs

    # ---- running ----------------------------------------------------------------------------------------------------
    @property
    def context(self) -> Context:
        """The opened device. Engines loaded with ``context=`` share it, and can take each other's tensors."""
        return self._opening.context()

    def run(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        on_device: bool | Container[str] = False,
        into: Mapping[str, Array] | None = None,
    ) -> dict[str, Any]:
        """Run the model. Takes and returns a dict of name → ``numpy.ndarray``.

        Inputs may also be a :class:`~mace.tensor.MaceTensor`, a tensor that another run on the same context left on the
        device, an array of pyopencl on it, or anything that offers DLPack in the host's memory. ``on_device`` leaves the
        outputs, or those named, on the device as :class:`~mace.execution.device_tensor.DeviceTensor`; ``into`` names arrays
        that outputs are written to, which are then what is returned.

        Raises ``InputError`` for a wrong name, shape or element type. Shapes not met before are planned, compiled and saved.
        """
        self._check_open()
        feeds = check_feeds(self._header.inputs, inputs or {}, self._opening.context)
        if into:
            check_into(self._header.outputs, into)
        resident = self._header.outputs if on_device is True else on_device or ()
        results = self._stage.run(feeds, resident=resident, into=into or {})
        self.stats.runs += 1
        self._note_looks()
        return results

    def warm_up(self, inputs: Mapping[str, Any] | None = None) -> None:
        """Prepare everything for the shapes of ``inputs`` (zeros for a model of fixed shapes) and run once."""
        self.run(inputs if inputs is not None else self.example_inputs())

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for what is built in the background, at most for so long; whether all of it is there and in use.

        It is not after ``seconds``, and where some of it could not be built: then general kernels stay in use, and a
        :class:`~mace.errors.BackgroundWarning` said why.
        """
        return self._preparation.wait(seconds)

    def example_inputs(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Any]:
        """Zeros for every input, of these shapes where given; an open first dimension (the batch) is taken as 1.

        Raises ``InputError`` naming an input that the model has not, or one whose sizes are open and not given.
        """
        import numpy as np

        shapes = shapes or {}
        unknown = [n for n in shapes if n not in self.inputs]
        if unknown:
            raise InputError(f"the model has no input {', '.join(unknown)}; its inputs are {', '.join(self.inputs)}")
        zeros = {}
        for name, kind in self.inputs.items():
            shape = shapes.get(name, kind.shape)
            if shape and not isinstance(shape[0], int):
                shape = (1, *shape[1:])
            whole = TensorType(kind.dtype, shape)
            if not whole.is_static:
                raise InputError(f"input '{name}' is {kind}: say which sizes are meant, as in {name}=1x3x224x224")
            zeros[name] = np.zeros(whole.dims, kind.dtype.numpy)
        return zeros

    # ---- tuning -----------------------------------------------------------------------------------------------------
    def tunings(self) -> TuningDatabase:
        """The tuned parameters this engine plans with: those of the storage, of the program file and of the settings."""
        if self._tunings is None:
            from mace.engine.tunings import open_tunings

            self._tunings = open_tunings(self.device, self._library, self.settings)
        return self._tunings

    def tune(
        self,
        budget: float = 60.0,
        level: str = "normal",
        inputs: Mapping[str, Any] | None = None,
        progress: Callable[[str, float], None] | None = None,
    ) -> TuningReport:
        """Search for the best kernel parameters on this device for about ``budget`` seconds, and plan anew with them.

        ``level`` is ``fast``, ``normal`` or ``exhaustive``; ``inputs`` gives the shapes to tune for where the model leaves
        them open. Results are kept per problem as they are found: a search that is broken off goes on where it was.
        Raises ``InputError`` for open shapes, ``ValueError`` for an unknown level.
        """
        from mace.engine.tunings import keep_tunings
        from mace.tuning.search import Tuner

        self._check_open()
        self.wait()
        feeds = check_feeds(self.inputs, inputs if inputs is not None else self.example_inputs())
        bound = self._stage.bind(feeds)
        tuner = Tuner(self._opening.context(), self.tunings(), self.settings.plan, progress)
        try:
            report = tuner.run(bound, budget, level)
        finally:
            keep_tunings(self._library, self.tunings())
            self._preparation.plan_anew()
            self._stage.forget()
        self._stage.prepare(feeds)
        return report

    # ---- saving -----------------------------------------------------------------------------------------------------
    def save_compiled_program(
        self,
        path: str | os.PathLike[str],
        *,
        compressed: bool = False,
        secret: Secret | None = None,
        verify: bool = True,
        spirv: bool = False,
    ) -> SavedProgram:
        """Write everything compiled, planned and packed so far into one program file; returns path, entries and bytes.

        A model of fixed shapes that has not run yet is prepared first. ``compressed`` trades a slower start for a smaller
        file; ``secret`` encrypts it. With ``verify`` a child process then loads the file and runs every kernel, and the
        result says how long that took; and each specialised kernel is compared with its general variant, once for each binary.
        One that computes something else is replaced by that, with a ``KernelWarning``, here and in later plans. ``spirv`` adds
        every program as SPIR-V, from which a device that takes it builds what it has no binary for.

        Raises ``StorageError`` when the path cannot be written, ``ProgramFileError`` when the file does not work,
        ``DeviceError`` when SPIR-V cannot be made.
        """
        from mace.program.opening import save_own

        self._check_open()
        if not self._stage.executors() and all(t.is_static for t in self.inputs.values()):
            self._stage.prepare(check_feeds(self.inputs, self.example_inputs()))
        if not self.wait():
            raise self._preparation.background.errors[-1]
        trust = self._library.trust

        def save() -> SavedProgram:
            if spirv:
                self._preparation.add_spirv(self._stage.plans())
            return save_own(path, self._library.content(), trust, compressed=compressed, secret=secret)

        if not (verify and self.settings.isolate):
            return save()
        from mace.engine.verification import save_verified

        return save_verified(save, self._stage, self._preparation, self.device, trust, secret)

    def compiled_program(self) -> bytes:
        """What :meth:`save_compiled_program` would write, as bytes."""
        self._check_open()
        self.wait()
        return self._library.to_bytes()

    def save_optimized_model(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as the optimising passes left it; returns ``path``.

        ``model.mace`` is portable, and gets its compiled program beside it, as ``model.bin``: ``MaceRuntime`` finds both by
        the name. ``model.onnx`` is for other runtimes: fused nodes are written as the ONNX operators they stand for.
        Raises ``InputError`` for another ending, ``StorageError`` when a file cannot be written.
        """
        from pathlib import Path

        target = Path(path)
        if target.suffix == ".onnx":
            from mace.files.atomic import atomic_write
            from mace.reference.to_onnx import model_to_proto

            atomic_write(target, [model_to_proto(self._graph(), all_types=True).SerializeToString()])
        elif target.suffix == ".mace":
            from mace.model_file import save_model

            save_model(target, self._graph())
            self.save_compiled_program(target.with_suffix(".bin"))
        else:
            raise InputError(f"'{target}' must end in .mace or .onnx")
        return target

    def executors(self) -> list[Executor]:
        """The plans prepared so far, ready to run: for profiling, tuning and inspection."""
        return self._stage.executors()

    # ---- the rest ---------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Release device memory and call off what is built in the background; the engine cannot run afterwards."""
        self._closed = True
        self._preparation.close()
        self._stage.forget()

    def __enter__(self) -> MaceEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<MaceEngine {self._header.name!r} on {self.device.label}>"

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("the engine is closed")

    def _graph(self) -> Graph:
        if self._model is None:
            from mace.model_file.read import load_model

            began = time.perf_counter()
            self._model = load_model(self._header.path).graph
            self.stats.add_seconds("model", time.perf_counter() - began)
        return self._model

    def _note_looks(self) -> None:
        """Bring the library's looks into the statistics, and warn once of each designated file that was passed over."""
        looks = self._library.looks
        for look in looks[len(self.stats.looks) :]:
            self.stats.looks.append(
                {"where": look.where, "reason": look.reason.value, "sought": look.sought, "detail": look.detail}
            )
            storage = self._library.storage
            if look.reason in _PASSED_OVER and not (storage and look.where == storage.where):
                warnings.warn(f"program file passed over: {look}", ProgramFileWarning, stacklevel=3)
