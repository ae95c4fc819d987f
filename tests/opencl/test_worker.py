"""Worker processes: what they compile, what they refuse, and how they die without harm."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from mace.errors import BuildError, DeviceError, OpenCLError
from mace.opencl import Device
from mace.opencl.context import Context
from mace.opencl.frames import ConversationError, receive, send
from mace.opencl.isolation import Worker
from mace.opencl.jobs import (
    BufferArgument,
    CompileJob,
    Done,
    LocalArgument,
    Outcome,
    ProofJob,
    Refused,
    ScalarArgument,
    Trial,
    WorkerCrash,
    refusal_from_json,
    refusal_to_json,
)
from mace.opencl.kernel import Launch
from mace.opencl.pool import WorkerPool, compile_all
from mace.opencl.workshop import Workshop
from mace.tensor import DType

SOURCE = """
__kernel void fill(__global float *y, float value, __local float *t)
{
    t[get_local_id(0)] = value;
    y[get_global_id(0)] = t[get_local_id(0)];
}
"""
TRIAL = Trial("fill", (BufferArgument(256), ScalarArgument(2.5, DType.FLOAT32), LocalArgument(32)), (64,), (8,))
FAKE = """
import os, signal, sys, time
from mace.opencl.frames import receive, send
out = os.fdopen(os.dup(1), "wb")
receive(sys.stdin.buffer)
send(out, {"ok": True})
while True:
    header, payload = receive(sys.stdin.buffer)
    word = payload.decode()
    send(out, {"stage": f"running kernel {word}"})
    if word == "abort":
        os.write(2, b"LLVM ERROR: Do not know how to scalarize\\n")
        os.abort()
    if word == "hang":
        time.sleep(1000)
    if word == "steps":
        for step in range(20):
            time.sleep(0.1)
            send(out, {"stage": f"creating kernel {step}"})
    if word == "exit":
        os._exit(7)
    if word == "rubbish":
        out.write(b"\\xff" * 64); out.flush(); time.sleep(1000)
    seconds = {"build": 0.0, "create": 0.0, "run": 0.0}
    send(out, {"ok": True, "log": str(os.getpid()), "seconds": seconds}, payload[::-1])
"""


@pytest.fixture
def fake(tmp_path: Path) -> list[str]:
    """A worker that does as the source of a job says: dies in some way, or answers with it backwards."""
    script = tmp_path / "fake_worker.py"
    script.write_text(FAKE)
    return [sys.executable, str(script)]


def test_what_a_worker_compiled_runs_here(device: Device) -> None:
    """The binary that comes back loads in this process and computes; two jobs share one worker."""
    with Worker(device) as worker:
        first = worker.run(CompileJob(SOURCE, trials=(TRIAL,)))
        second = worker.run(CompileJob(SOURCE.replace("fill", "fill2"), "-DX=1"))
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert first.build_seconds > 0
    assert first.run_seconds > 0
    context = Context(device)
    program = context.build_from_binary(first.binary)
    assert program.kernel_names == ("fill",)
    assert context.build_from_binary(second.binary).kernel_names == ("fill2",)
    buffer = context.allocate(256)
    from mace.opencl.kernel import LocalMemory

    context.run([program.launch("fill", [buffer, np.float32(2.5), LocalMemory(32)], (64,), (8,))])
    out = np.empty(64, np.float32)
    context.read(buffer, out)
    assert (out == 2.5).all()


def test_refusals_come_back_as_errors_to_raise(device: Device) -> None:
    """A source that does not compile, a kernel that is missing, and bytes that are no binary; the worker lives on."""
    with Worker(device) as worker:
        broken = worker.run(CompileJob("__kernel void broken() { missing_name = 1; }"))
        missing = worker.run(CompileJob(SOURCE, trials=(Trial("nowhere", (), (1,)),)))
        rubbish = worker.run(ProofJob(b"this is no program"))
        fine = worker.run(CompileJob(SOURCE))
    assert isinstance(broken, Refused)
    assert isinstance(broken.error, BuildError)
    assert "missing_name" in broken.error.log
    assert isinstance(missing, Refused)
    assert isinstance(missing.error, OpenCLError)
    assert missing.error.code_name == "CL_INVALID_KERNEL_NAME"
    assert isinstance(rubbish, Refused)
    assert isinstance(fine, Done)


def test_a_binary_proves_itself_in_a_worker(device: Device) -> None:
    """Loading, creating and running a good binary is a proof; one job's memory is not another's."""
    (compiled,) = compile_all(device, [CompileJob(SOURCE, trials=(TRIAL,))])
    assert isinstance(compiled, Done)
    bigger = Trial(
        "fill", (BufferArgument(1 << 20), ScalarArgument(1.0, DType.FLOAT32), LocalArgument(32)), (64,), (8,)
    )
    (proof,) = compile_all(device, [ProofJob(compiled.binary, trials=(TRIAL, bigger, TRIAL))])
    assert isinstance(proof, Done)
    assert proof.binary == b""


def test_a_proof_does_not_rest_on_fresh_memory(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel has run on other numbers before any run counts; a compilation, which nobody doubts, runs each once."""
    workshop = Workshop(Context(device))
    smaller = replace(TRIAL, arguments=(BufferArgument(128), *TRIAL.arguments[1:]), global_size=(32,))
    trials = (TRIAL, smaller)
    began: list[tuple[int, ...]] = []
    held: list[bytes] = []
    run = Context.run

    def noted(self: Context, launches: list[Launch]) -> None:
        began.extend(launch.global_size for launch in launches)
        content = np.empty(128, np.uint8)
        self.read(workshop._memory[0], content)
        held.append(content.tobytes())
        run(self, launches)

    monkeypatch.setattr(Context, "run", noted)
    compiled = workshop.do(CompileJob(SOURCE, "", trials))
    assert began == [(64,), (32,)]
    proved = workshop.do(ProofJob(compiled.binary, "", trials))
    assert began[2:] == [(64,), (32,)] * 3
    assert held[:2] == held[6:]
    assert not set(held[2:6]) & set(held[:2])
    assert proved.outputs == compiled.outputs


def test_jobs_are_shared_and_answers_stay_in_order(device: Device) -> None:
    """Two workers do five jobs; each job's progress is told once and its outcome stands at its place."""
    names = [f"kernel_{i}" for i in range(5)]
    jobs = [CompileJob(SOURCE.replace("fill", name)) for name in names]
    told: list[int] = []
    outcomes = compile_all(device, jobs, workers=2, progress=lambda index, outcome: told.append(index))
    context = Context(device)
    for name, outcome in zip(names, outcomes, strict=True):
        assert isinstance(outcome, Done)
        assert context.build_from_binary(outcome.binary).kernel_names == (name,)
    assert sorted(told) == [0, 1, 2, 3, 4]
    assert compile_all(device, []) == []


def crash(outcome: Outcome) -> WorkerCrash:
    assert isinstance(outcome, WorkerCrash)
    return outcome


def test_a_driver_that_aborts_is_an_outcome(device: Device, fake: list[str]) -> None:
    """The signal, the last words and what was being done are told."""
    with Worker(device, fake) as worker:
        assert isinstance(worker.run(CompileJob("hello")), Done)
        found = crash(worker.run(CompileJob("abort")))
        assert not worker.usable
    assert found.signal == "SIGABRT"
    assert not found.timed_out
    assert found.stage == "running kernel abort"
    assert "Do not know how to scalarize" in found.stderr
    assert "SIGABRT while running kernel abort: LLVM ERROR" in str(found)


def test_a_driver_that_hangs_is_given_up(device: Device, fake: list[str]) -> None:
    """After the time limit the worker is killed, and it is told that time was the reason."""
    began = time.monotonic()
    with Worker(device, fake) as worker:
        found = crash(worker.run(CompileJob("hang"), seconds=1.0))
    assert found.timed_out
    assert "did not answer in time" in str(found)
    assert time.monotonic() - began < 20


def test_a_large_program_takes_its_time(device: Device, fake: list[str]) -> None:
    """The limit holds for each step: a worker that gets on is not given up, however many steps there are."""
    with Worker(device, fake) as worker:
        began = time.monotonic()
        assert isinstance(worker.run(CompileJob("steps"), seconds=1.5), Done)
        assert time.monotonic() - began > 1.5


@pytest.mark.parametrize(("word", "how"), [("exit", "exit code 7"), ("rubbish", "running kernel rubbish")])
def test_other_ends_are_crashes_too(device: Device, fake: list[str], word: str, how: str) -> None:
    """A process that leaves, or that answers in no language of ours, is treated like one that crashed."""
    with Worker(device, fake) as worker:
        assert how in str(crash(worker.run(CompileJob(word), seconds=20.0)))


def test_a_crash_costs_one_job(device: Device, fake: list[str]) -> None:
    """The pool goes on with a new worker, and the other jobs are done."""
    words = ["one", "abort", "two", "exit", "three"]
    with WorkerPool(device, 2, command=fake) as pool:
        outcomes = pool.run_all([CompileJob(w) for w in words])
        again = pool.run_all([CompileJob("later")])
    assert [type(o) for o in outcomes] == [Done, WorkerCrash, Done, WorkerCrash, Done]
    assert [o.binary for o in (*outcomes, *again) if isinstance(o, Done)] == [b"eno", b"owt", b"eerht", b"retal"]


def test_a_pool_keeps_its_workers(device: Device, fake: list[str]) -> None:
    """A second list of jobs finds the worker of the first."""
    with WorkerPool(device, 1, command=fake) as pool:
        first, second = (pool.run_all([CompileJob("x")])[0] for _ in range(2))
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert first.log == second.log != ""


def test_an_error_in_the_callers_progress_reaches_the_caller(device: Device, fake: list[str]) -> None:
    """An exception from the callback, such as an interruption, ends the work and is raised."""

    def interrupt(index: int, outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with WorkerPool(device, 2, command=fake) as pool, pytest.raises(KeyboardInterrupt):
        pool.run_all([CompileJob("x"), CompileJob("y")], progress=interrupt)


def test_a_device_that_is_gone_is_refused_by_the_worker(device: Device) -> None:
    """The worker checks that it opened the very device it was told of."""
    gone = Device(device.info, device.driver, device.platform_index, 99, number=0)
    with Worker(gone) as worker:
        outcome = worker.run(CompileJob(SOURCE))
        assert not worker.usable
    assert isinstance(outcome, Refused)
    assert "no longer" in str(outcome.error)


def test_a_trial_survives_json() -> None:
    """What the worker reads is what was asked for."""
    for trial in (TRIAL, Trial("k", (), (1, 2, 3))):
        assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial


@pytest.mark.parametrize(
    "error",
    [
        BuildError("compiling failed", log="line 1: wrong"),
        OpenCLError("launching failed", code=-5, code_name="CL_OUT_OF_RESOURCES"),
        OpenCLError("no code"),
        DeviceError("gone"),
    ],
)
def test_an_error_survives_the_border(error: DeviceError) -> None:
    """Type, text and details are the same on the other side."""
    back = refusal_from_json(json.loads(json.dumps(refusal_to_json(error)))).error
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_messages_carry_json_and_bytes() -> None:
    """Each message is read back whole, and the next one begins where it ends."""
    stream = BytesIO()
    send(stream, {"a": [1, "ü"]}, b"\0\1\2")
    send(stream, {}, b"")
    stream.seek(0)
    assert receive(stream) == ({"a": [1, "ü"]}, b"\0\1\2")
    assert receive(stream) == ({}, b"")
    with pytest.raises(ConversationError):
        receive(stream)


@pytest.mark.parametrize("cut", [0, 3, 12, 15, 20])
def test_a_message_that_breaks_off_is_noticed(cut: int) -> None:
    """Wherever the other side dies, the reader knows."""
    stream = BytesIO()
    send(stream, {"a": 1}, b"payload")
    with pytest.raises(ConversationError):
        receive(BytesIO(stream.getvalue()[:cut]))


@pytest.mark.parametrize("data", [b"\xff" * 64, b"\2\0\0\0" + bytes(8) + b"[]", b"\2\0\0\0" + bytes(8) + b"{x"])
def test_nonsense_is_no_message(data: bytes) -> None:
    """Impossible lengths and headers that are no JSON object are refused before anything is reserved for them."""
    with pytest.raises(ConversationError):
        receive(BytesIO(data))
