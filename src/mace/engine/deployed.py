"""Settings of deployment files and of ``mace_run.config`` as arguments of ``mace.load``."""

from __future__ import annotations

from typing import Any

from mace.deployment.run_config import PRIORITIES, REUSE, RunConfig
from mace.deployment.settings import RunSettings
from mace.plan.options import PlanOptions


def engine_arguments(settings: RunSettings) -> dict[str, Any]:
    """Keyword arguments of :func:`mace.load` that do what the settings say."""
    return {
        "options": PlanOptions(storage=settings.storage, winograd=settings.winograd),
        "queue_window": settings.queue_window,
        "limit_kernel_time": settings.limit_kernel_time,
    }


def run_config_arguments(config: RunConfig) -> dict[str, Any]:
    """Keyword arguments of :func:`mace.load` for how a ``mace_run.config`` wants a model to be run."""
    found: dict[str, Any] = {
        "parameters": config.file("parameters"),
        "reuse": REUSE.get(config.value("opencl_cache_reuse_policy")),
        "priority": PRIORITIES.get(config.value("gpu_priority_hint")),
        "threads": _positive(config.value("num_threads")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _positive(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) > 0 else None
