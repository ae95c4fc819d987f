"""``mace.load``: begins to open the device before it imports the engine, for a start does both at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from mace.opencl.opening import begin_opening

if TYPE_CHECKING:
    from mace.engine.engine import MaceEngine
    from mace.opencl.context import Context, Priority
    from mace.opencl.device import Device
    from mace.plan.options import PlanOptions
    from mace.program.encrypt import Secret
    from mace.program.library import ProgramSource
    from mace.program.limits import Limits
    from mace.program.reuse import ReusePolicy
    from mace.program.trust import TrustPolicy


def load(
    model: str | os.PathLike[str],
    device: str | int | Device = "auto",
    compiled_program: ProgramSource | list[ProgramSource] | tuple[ProgramSource, ...] | None = None,
    storage: str | os.PathLike[str] | Literal[False] | None = None,
    *,
    reuse: ReusePolicy = "exact",
    trust: TrustPolicy = "own",
    secret: Secret | None = None,
    limits: Limits | None = None,
    parameters: str | os.PathLike[str] | None = None,
    context: Context | None = None,
    options: PlanOptions | None = None,
    isolate: bool = True,
    proof: Literal["note", "source"] = "note",
    threads: int | None = None,
    priority: Priority = "normal",
    queue_window: int = 0,
    limit_kernel_time: bool = False,
    warm_up: Literal["background"] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> MaceEngine:
    """A :class:`MaceEngine` for a ``.mace`` file.

    ``device``: ``auto``, ``gpu``, ``cpu``, part of a platform's or device's name, or an index as ``mace devices`` prints it.
    ``compiled_program``: a program file (path or bytes) or several, read-only, searched in order. ``storage``: the writable
    folder where compiled programs are kept; None for the per-user one, False to keep nothing. ``limits``: the sizes and counts
    that are believed of program files. ``parameters``: a file of tuned parameters, as ``mace tune --parameters`` writes it, for
    plans that are still to be made. ``context``: share one that another engine uses. ``proof``: what a binary that was never
    loaded here must compute, as noted in its file or as its ``source`` does, which is compiled for that. ``threads`` limits the
    cores (or compute units) that are used.
    ``priority``, ``queue_window`` and ``limit_kernel_time`` are for devices that others use too, see
    :class:`~mace.engine.settings.EngineSettings`. ``warm_up="background"`` gives the first results from general kernels while
    the specialised ones are still being built; :meth:`MaceEngine.wait` waits for them. ``progress`` is told of each step and
    how far along it is, 0 to 1.
    """
    opening = begin_opening(device, threads=threads, priority=priority) if context is None else None
    from mace.engine.engine import MaceEngine
    from mace.engine.settings import EngineSettings
    from mace.errors import NoDeviceError
    from mace.plan.options import PlanOptions
    from mace.program.limits import DEFAULT_LIMITS

    if compiled_program is None:
        programs: tuple[ProgramSource, ...] = ()
    elif isinstance(compiled_program, list | tuple):
        programs = tuple(compiled_program)
    else:
        programs = (compiled_program,)
    settings = EngineSettings(
        storage=storage,
        programs=programs,
        reuse=reuse,
        trust=trust,
        secret=secret,
        limits=limits or DEFAULT_LIMITS,
        parameters=parameters,
        isolate=isolate,
        proof=proof,
        threads=threads,
        priority=priority,
        queue_window=queue_window,
        limit_kernel_time=limit_kernel_time,
        warm_up=warm_up,
        plan=options or PlanOptions(),
    )
    try:
        return MaceEngine(model, device, settings=settings, context=context or opening, progress=progress)
    except NoDeviceError:
        if opening is None:
            raise
    # What was known of the device no longer holds: all drivers are asked anew.
    return MaceEngine(model, device, settings=settings, progress=progress)
