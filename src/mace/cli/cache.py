"""Look after the folder in which compiled programs are kept between runs. All of it can be deleted at any time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption, StorageOption
from mace.program.store_admin import Removed

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def path(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Print the folder."""
    folder = _folder(storage)
    if as_json:
        output.emit_json({"path": folder})
        return
    output.line("{}", folder)


@app.command(name="list")
def list_files(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the program files, the most recently used first."""
    from mace.program.store_admin import stored_files

    files = stored_files(_folder(storage))
    if as_json:
        output.emit_json([{"path": f.path, "bytes": f.nbytes, "last_used": f.last_used} for f in files])
        return
    used = [datetime.fromtimestamp(f.last_used, UTC).isoformat(timespec="minutes") for f in files]
    output.table(
        ("file", "size", "last used"), [(f.path, output.size(f.nbytes), u) for f, u in zip(files, used, strict=True)]
    )


@app.command()
def gc(
    megabytes: Annotated[int, typer.Option("--max-size", min=0, help="MiB to keep the folder within.")] = 4096,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove leftovers and what was set aside, then the files used longest ago until the rest fits."""
    from mace.program.store_admin import collect

    _show(collect(_folder(storage), max_bytes=megabytes << 20), as_json)


@app.command()
def clear(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Remove every file that mace keeps there."""
    from mace.program import store_admin

    _show(store_admin.clear(_folder(storage)), as_json)


@app.command()
def quarantine(
    forget: Annotated[bool, typer.Option("--forget", help="Forget all of it, so that it is tried anew.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what is not tried again: binaries that failed on a device, kernels that its compiler makes wrong."""
    from mace.program.quarantine import forget_quarantined, quarantined

    found = quarantined()
    if forget:
        forget_quarantined()
    if as_json:
        output.emit_json({"forgotten": forget, "quarantined": found})
        return
    if found:
        rows = [(q.what, q.device.summary if q.device else "", q.reason.value, q.detail) for q in found]
        output.table(("what", "device", "reason", "detail"), rows)
    verdict = "forgotten" if forget else "not tried again"
    output.line(
        "{}", f"{output.counted(len(found), 'record')}, {verdict}" if found else "nothing is kept from being tried"
    )


def _folder(storage: Path | None) -> Path:
    from mace.files.folders import programs_folder

    return storage if storage is not None else Path(programs_folder())


def _show(removed: Removed, as_json: bool) -> None:
    if as_json:
        output.emit_json(removed)
        return
    output.line("removed {} files, {}", len(removed.paths), output.size(removed.nbytes))
