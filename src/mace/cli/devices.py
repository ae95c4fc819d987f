"""List the OpenCL devices of this machine, and the drivers that could not be used.

Every driver is asked anew. The exit code is 5 when there is no device at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from mace.cli import output
from mace.cli.options import JsonOption

app = typer.Typer(add_completion=False)


@app.command()
def devices(as_json: JsonOption = False) -> None:
    from mace.opencl.listing import list_devices

    found = list_devices()
    if as_json:
        output.emit_json(found)
    else:
        for device in found["devices"]:
            _show_device(device)
        unusable = [d for d in found["drivers"] if d["status"] != "ok"]
        if unusable:
            output.table(("driver without a device", "status", "reason"), [_driver_row(d) for d in unusable])
        if found["hint"]:
            output.line("there is no OpenCL device on this machine. {}", found["hint"])
    if not found["devices"]:
        raise typer.Exit(5)


def _show_device(device: Mapping[str, Any]) -> None:
    marks = [m for m in ("default" if device["default"] else "", device["note"]) if m]
    output.line(
        "{}  {}: {}{}",
        device["number"],
        device["platform"],
        device["device"],
        f"  ({', '.join(marks)})" if marks else "",
        style="bold",
    )
    memory = f"{output.size(device['global_memory'])}, {output.size(device['local_memory'])} local"
    rows = {
        "type": f"{device['kind']}, {device['compute_units']} compute units, vectors of {device['vector_width']}",
        "driver": device["driver_version"],
        "version": device["opencl_version"],
        "memory": memory,
        "extensions": " ".join(device["extensions"]) or "none of those that matter",
    }
    output.pairs({f"   {name}": value for name, value in rows.items()})


def _driver_row(driver: Mapping[str, Any]) -> tuple[str, str, str]:
    return driver["library"], driver["status"], driver["reason"]
