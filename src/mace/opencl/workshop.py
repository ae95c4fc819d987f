"""Building and trying a program on an opened device: the work of a worker process, and of this one without isolation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import numpy as np

from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.jobs import BufferArgument, CompileJob, Done, Job, LocalArgument, Trial
from mace.opencl.kernel import Argument, LocalMemory, Program


class Workshop:
    """An opened device and memory that is used again from trial to trial. ``stage`` hears of each step before it begins."""

    def __init__(self, context: Context, stage: Callable[[str], None] = lambda _: None) -> None:
        self.context = context
        self._stage = stage
        self._memory: dict[int, Buffer] = {}

    def do(self, job: Job) -> Done:
        """Build, create every kernel, run each once, and for a compilation fetch the binary. Raises ``DeviceError``."""
        compiling = isinstance(job, CompileJob)
        began = time.perf_counter()
        self._stage("compiling the program" if compiling else "loading the binary")
        if isinstance(job, CompileJob):
            program = self.context.build_from_source(job.source, job.options)
        else:
            program = self.context.build_from_binary(job.binary, job.options)
        built = time.perf_counter()
        for name in {trial.kernel: None for trial in job.trials} or program.kernel_names:
            self._stage(f"creating kernel {name}")
            program.kernel(name)
        created = time.perf_counter()
        for trial in job.trials:
            self._stage(f"running kernel {trial.kernel}")
            self._run(program, trial)
        ran = time.perf_counter()
        binary = b""
        if compiling:
            self._stage("reading the binary")
            binary = program.binary()
        return Done(binary, program.log, built - began, created - built, ran - created)

    def _run(self, program: Program, trial: Trial) -> None:
        arguments: list[Argument] = []
        for index, argument in enumerate(trial.arguments):
            match argument:
                case BufferArgument(nbytes):
                    arguments.append(self._zeros(index, nbytes))
                case LocalArgument(nbytes):
                    arguments.append(LocalMemory(nbytes))
                case _:
                    arguments.append(cast("np.generic", argument.dtype.numpy.type(argument.value)))
        launch = program.launch(trial.kernel, arguments, trial.global_size, trial.local_size)
        self.context.run([launch])
        self.context.finish()

    def _zeros(self, index: int, nbytes: int) -> Buffer:
        """Zeroed memory for the argument at this place of a kernel; never shared between arguments of one launch."""
        buffer = self._memory.get(index)
        if buffer is None or buffer.nbytes < nbytes:
            buffer = self._memory[index] = self.context.allocate(nbytes)
        self.context.fill_zero(buffer)
        return buffer
