"""Worker process: builds and tries programs where a driver may crash without harm (``python -m mace.opencl.worker``).

It reads jobs from its standard input and answers on the standard output it was started with, one message each
(``frames``), until the input ends. The first message names the device. Before each step that may kill it, it says what
that step is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeAlias

from mace.errors import DeviceError
from mace.opencl.context import Context
from mace.opencl.describe import DeviceInfo
from mace.opencl.device import Device
from mace.opencl.drivers import Driver
from mace.opencl.frames import ConversationError, receive, send
from mace.opencl.jobs import CompileJob, Done, Job, ProofJob, TimingJob, refusal_to_json, trials_from_json
from mace.opencl.workshop import Workshop

Stage: TypeAlias = Callable[[str], None]
"""Told of each step before it begins."""
Do: TypeAlias = Callable[[Mapping[str, Any], bytes], Done]
"""Does one job, given as a message. Raises ``DeviceError``."""


def _workshop(context: Context, stage: Stage) -> Do:
    workshop = Workshop(context, stage)
    return lambda header, payload: workshop.do(_job(header, payload))


def serve(requests: BinaryIO, answers: BinaryIO, make: Callable[[Context, Stage], Do] = _workshop) -> None:
    """Answer messages until the input ends. ``make`` gives what does the jobs. Raises ``ConversationError`` at the end."""
    hello, _ = receive(requests)
    try:
        context = Context(_device(hello))
    except DeviceError as error:
        send(answers, {"ok": False, **refusal_to_json(error)})
        return
    send(answers, {"ok": True})
    do = make(context, lambda stage: send(answers, {"stage": stage}))
    while True:
        header, payload = receive(requests)
        try:
            done = do(header, payload)
            seconds = {"build": done.build_seconds, "create": done.create_seconds, "run": done.run_seconds}
            answer, binary = {"ok": True, "log": done.log, "seconds": seconds, "outputs": done.outputs}, done.binary
        except DeviceError as error:
            answer, binary = {"ok": False, **refusal_to_json(error)}, b""
        send(answers, answer, binary)


def _job(header: Mapping[str, Any], payload: bytes) -> Job:
    trials = trials_from_json(header["trials"])
    if header["action"] == "time":
        return TimingJob(payload, header["options"], trials, float(header["budget"]), int(header["weights"]))
    constants, body = payload[: header["constants"]], payload[header["constants"] :]
    if header["action"] == "compile":
        return CompileJob(body.decode(), header["options"], trials, constants)
    if header["action"] == "compile spirv":
        return CompileJob(body, header["options"], trials, constants)
    return ProofJob(body, header["options"], trials, constants)


def _device(hello: Mapping[str, Any]) -> Device:
    info = DeviceInfo.from_json(hello["info"])
    return Device(info, Driver(hello["library"], "parent"), hello["platform"], hello["device"], number=0)


def main(make: Callable[[Context, Stage], Do] = _workshop) -> None:
    """Serve, with the standard output kept clear of what drivers print, and leave without the drivers' clean-up."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        pass
    try:
        serve(sys.stdin.buffer, answers, make)
    except ConversationError:
        os._exit(0)
    os._exit(0)


if __name__ == "__main__":
    main()
