"""Find out what is wrong with this machine, a folder, or a mace_run.config, and print the command that mends each thing.

The exit code is 9 when something was found that does harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mace.cli import output
from mace.cli.options import FOUND_WANTING, DeviceOption, JsonOption, StorageOption

app = typer.Typer(add_completion=False)

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@app.command()
def doctor(
    place: Annotated[
        Path | None,
        typer.Argument(help="A folder, a mace_run.config, a model or a program file.", show_default=False),
    ] = None,
    device: DeviceOption = "auto",
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from mace.doctor import diagnose

    diagnosis = diagnose(place, device=device, storage=storage)
    if as_json:
        output.emit_json(diagnosis.to_json())
    else:
        show_diagnosis(diagnosis.to_json())
    if not diagnosis.healthy:
        raise typer.Exit(FOUND_WANTING)


def show_diagnosis(record: Mapping[str, Any]) -> None:
    """Print a diagnosis."""
    for finding in record["findings"]:
        style = _STYLES[finding["severity"]]
        output.line("{} {}: {}", finding["severity"], finding["code"], finding["subject"], style=style)
        output.pairs({"  what": finding["detail"], "  cost": finding["cost"]})
        output.line("  mend  {}", finding["command"], style="bold", whole=True)
        output.line("")
    device = f" on {record['device']}" if record["device"] else ""
    count = len(record["findings"])
    verdict = "nothing is wrong" if not count else output.counted(count, "finding")
    output.line("{}{}", verdict, device, style="bold")
    output.line("checked: {}", ", ".join(record["checked"]), style="dim")
