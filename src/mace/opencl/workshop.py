"""Building and trying a program on an opened device: the work of a worker process, and of this one without isolation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import cast

import numpy as np

from mace.opencl.buffer import Buffer
from mace.opencl.cold import ColdWeights
from mace.opencl.context import Context
from mace.opencl.filling import filled, timed
from mace.opencl.jobs import (
    BufferArgument,
    CompileJob,
    ConstantArgument,
    Done,
    Job,
    LocalArgument,
    ProofJob,
    TimingJob,
    Trial,
    WeightsArgument,
    ZeroedArgument,
)
from mace.opencl.kernel import Argument, Launch, LocalMemory, Program
from mace.opencl.trimming import Trimmer
from mace.tensor import Array

SOILING_RUNS = 2
"""How often a proof runs every kernel on other numbers before the run that counts.

The memory of a new process is zero, and so what a damaged kernel forgets to write may be right by chance there: of one with a
store less, 9 of 20 proofs found it at once, 19 after one such run, 20 after two.
"""


class Workshop:
    """An opened device and memory that is used again from trial to trial. ``stage`` hears of each step before it begins."""

    def __init__(self, context: Context, stage: Callable[[str], None] = lambda _: None) -> None:
        self.context = context
        self._stage = stage
        self._trimmer = Trimmer(context)
        self._memory: dict[int, Buffer] = {}
        self._weights = ColdWeights(context)
        self._images: list[tuple[Buffer, Buffer, tuple[int, int]]] = []
        """Images of the launches that are run together, each with the memory that it holds, and its extents."""

    def do(self, job: Job) -> Done:
        """Build, create every kernel, run each, and for a compilation fetch the binary. Raises ``DeviceError``."""
        began = time.perf_counter()
        compiling = isinstance(job, CompileJob)
        self._stage("compiling the program" if compiling else "loading the binary")
        program, binary = self._build(job)
        built = time.perf_counter()
        for name in {trial.kernel: None for trial in job.trials} or program.kernel_names:
            self._stage(f"creating kernel {name}")
            program.kernel(name)
        created = time.perf_counter()
        if isinstance(job, TimingJob):
            seconds = self._time(program, job)
            return Done(b"", program.log, built - began, created - built, seconds)
        outputs, ran = {}, 0.0
        for left in range(SOILING_RUNS if isinstance(job, ProofJob) else 0, -1, -1):
            outputs = self._run_all(program, job, soiling=left > 0)
            ran = ran or time.perf_counter()
        if compiling and not binary:
            self._stage("reading the binary")
            binary = program.binary()
        return Done(binary, program.log, built - began, created - built, ran - created, outputs)

    def _build(self, job: Job) -> tuple[Program, bytes]:
        """The job's program; with its binary where that is known before its kernels have run."""
        if not isinstance(job, CompileJob):
            return self.context.build_from_binary(job.binary, job.options), b""
        if isinstance(job.source, bytes):
            program = self.context.build_from_spirv(job.source, job.options)
        else:
            program = self.context.build_from_source(job.source, job.options)
        return self._trimmer.trim(program, job.options) or (program, b"")

    def _run_all(self, program: Program, job: CompileJob | ProofJob, *, soiling: bool) -> dict[str, str]:
        """What each trial computes, by the trials' digests; nothing when they only leave other numbers behind."""
        outputs = {}
        for trial in job.trials:
            self._stage(f"running kernel {trial.kernel}")
            before = self._run(program, trial, memoryview(job.constants), shift=int(soiling))
            if not soiling:
                outputs[trial.digest] = self._digest(before)
        return outputs

    def _run(self, program: Program, trial: Trial, constants: memoryview, shift: int) -> dict[int, Array]:
        """Run a trial once; what its memory held before, by argument. ``shift`` makes the numbers others."""
        launch = self._launch(program, trial, 0)
        before: dict[int, Array] = {}
        for index, argument in enumerate(trial.arguments):
            match argument:
                case BufferArgument(nbytes) | WeightsArgument(nbytes):
                    before[index] = filled(trial.filling, nbytes, index + shift)
                case ZeroedArgument(nbytes):
                    before[index] = np.zeros(nbytes, np.uint8)
                case ConstantArgument(nbytes, start):
                    before[index] = np.frombuffer(constants[start : start + nbytes], np.uint8)
        for index, content in before.items():
            self.context.write(self._memory[index], content)
        self._fill_images()
        self.context.run([launch])
        self.context.finish()
        return before

    def _digest(self, before: dict[int, Array]) -> str:
        """A digest of the memory that differs from what it held before."""
        digest = hashlib.sha256()
        for index, content in before.items():
            after = np.empty_like(content)
            self.context.read(self._memory[index], after)
            if not np.array_equal(content, after):
                digest.update(index.to_bytes(4, "little"))
                digest.update(after.data)
        return digest.hexdigest()[:32]

    def _time(self, program: Program, job: TimingJob) -> float:
        """Seconds that all trials together take, the best of as many runs as fit the budget (at least three)."""
        self._stage(f"timing kernel {job.trials[0].kernel}")
        launches = [self._launch(program, trial, 100 * i) for i, trial in enumerate(job.trials)]
        for buffer in self._memory.values():
            self.context.write(buffer, timed(buffer.nbytes))
        self._fill_images()
        changing = [
            (launch, index, argument.nbytes)
            for launch, trial in zip(launches, job.trials, strict=True)
            for index, argument in enumerate(trial.arguments)
            if isinstance(argument, WeightsArgument) and not argument.image
        ]
        weights = self._weights.rounds(job.weights, [nbytes for *_, nbytes in changing])
        self.context.run(launches)
        self.context.finish()
        end = time.perf_counter() + job.budget
        best, runs = float("inf"), 0
        while runs < 3 or time.perf_counter() < end:
            for (launch, index, _), part in zip(changing, next(weights), strict=True):
                launch.set_argument(index, part)
            began = time.perf_counter()
            self.context.run(launches)
            self.context.finish()
            best = min(best, time.perf_counter() - began)
            runs += 1
        return best

    def _launch(self, program: Program, trial: Trial, first: int) -> Launch:
        """The trial on memory of its own; ``first`` keeps apart the memory of launches that are run together."""
        arguments: list[Argument] = []
        if not first:
            self._images.clear()
        for index, argument in enumerate(trial.arguments):
            match argument:
                case BufferArgument(nbytes) | ZeroedArgument(nbytes):
                    arguments.append(self._buffer(first + index, nbytes))
                case WeightsArgument(nbytes) | ConstantArgument(nbytes):
                    buffer = self._buffer(first + index, nbytes)
                    if argument.image:
                        image = self.context.image(*argument.image)
                        self._images.append((image, buffer, argument.image))
                    arguments.append(image if argument.image else buffer)
                case LocalArgument(nbytes):
                    arguments.append(LocalMemory(nbytes))
                case _:
                    arguments.append(cast("np.generic", argument.dtype.numpy.type(argument.value)))
        return program.launch(trial.kernel, arguments, trial.global_size, trial.local_size)

    def _fill_images(self) -> None:
        for image, buffer, extents in self._images:
            self.context.fill_image(image, buffer, *extents)

    def _buffer(self, key: int, nbytes: int) -> Buffer:
        """Memory for one argument; never shared between arguments of one launch."""
        buffer = self._memory.get(key)
        if buffer is None or buffer.nbytes < nbytes:
            buffer = self._memory[key] = self.context.allocate(nbytes)
        return buffer
