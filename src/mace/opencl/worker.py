"""Worker process: builds and tries programs where a driver may crash without harm (``python -m mace.opencl.worker``).

It reads jobs from its standard input and answers on the standard output it was started with, one message each
(``frames``), until the input ends. The first message names the device. Before each step that may kill it, it says what
that step is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import numpy as np

from mace.errors import DeviceError
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.describe import DeviceInfo
from mace.opencl.device import Device
from mace.opencl.drivers import Driver
from mace.opencl.frames import ConversationError, receive, send
from mace.opencl.jobs import BufferArgument, LocalArgument, Trial, refusal_to_json, trials_from_json
from mace.opencl.kernel import Argument, LocalMemory, Program


class _Workshop:
    """The opened device and memory that is used again from trial to trial."""

    def __init__(self, context: Context, answers: BinaryIO) -> None:
        self.context = context
        self.answers = answers
        self._memory: dict[int, Buffer] = {}

    def do(self, header: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """One job: build, create every kernel, run each once, and for a compilation fetch the binary."""
        trials = trials_from_json(header["trials"])
        compiling = header["action"] == "compile"
        began = time.perf_counter()
        self._stage("compiling the program" if compiling else "loading the binary")
        if compiling:
            program = self.context.build_from_source(payload.decode(), header["options"])
        else:
            program = self.context.build_from_binary(payload, header["options"])
        built = time.perf_counter()
        for name in {trial.kernel: None for trial in trials} or program.kernel_names:
            self._stage(f"creating kernel {name}")
            program.kernel(name)
        created = time.perf_counter()
        for trial in trials:
            self._stage(f"running kernel {trial.kernel}")
            self._run(program, trial)
        ran = time.perf_counter()
        binary = b""
        if compiling:
            self._stage("reading the binary")
            binary = program.binary()
        seconds = {"build": built - began, "create": created - built, "run": ran - created}
        return {"ok": True, "log": program.log, "seconds": seconds}, binary

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

    def _stage(self, what: str) -> None:
        send(self.answers, {"stage": what})


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer messages until the input ends. Raises ``ConversationError`` when it does."""
    hello, _ = receive(requests)
    try:
        context = Context(_device(hello))
    except DeviceError as error:
        send(answers, {"ok": False, **refusal_to_json(error)})
        return
    send(answers, {"ok": True})
    workshop = _Workshop(context, answers)
    while True:
        header, payload = receive(requests)
        try:
            answer, binary = workshop.do(header, payload)
        except DeviceError as error:
            answer, binary = {"ok": False, **refusal_to_json(error)}, b""
        send(answers, answer, binary)


def _device(hello: Mapping[str, Any]) -> Device:
    info = DeviceInfo.from_json(hello["info"])
    return Device(info, Driver(hello["library"], "parent"), hello["platform"], hello["device"], number=0)


def main() -> None:
    """Serve, with the standard output kept clear of what drivers print, and leave without the drivers' clean-up."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        pass
    try:
        serve(sys.stdin.buffer, answers)
    except ConversationError:
        os._exit(0)
    os._exit(0)


if __name__ == "__main__":
    main()
