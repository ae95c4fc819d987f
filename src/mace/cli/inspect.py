"""Say what a file is, a model.mace or a file of compiled programs: what it holds and what it belongs to."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import KeyFileOption, PassphraseOption, read_secret
from mace.cli.summary import show, summarise
from mace.errors import ConfigError, StorageError
from mace.program.content import EntryKind
from mace.program.encrypt import Secret

app = typer.Typer(add_completion=False)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A model.mace or a file of compiled programs.", show_default=False)],
    names: Annotated[
        Path | None,
        typer.Option("--names", help="Kernel names, one a line, by which those that upstream obfuscated are read."),
    ] = None,
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    if _is_model(file):
        _inspect_model(file, as_json)
    else:
        _inspect_program(file, read_secret(key_file, passphrase), _read_names(names), as_json)


def _read_names(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text of names, one a line", path=path) from error


def _is_model(file: Path) -> bool:
    from mace.model_file.layout import MAGIC

    try:
        with file.open("rb") as opened:
            return opened.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=file) from error


def _inspect_model(file: Path, as_json: bool) -> None:
    from mace.conversion.coverage import coverage_of
    from mace.conversion.support import device_operators
    from mace.model_file import load_model

    model = load_model(file)
    record = {
        "kind": "model",
        "path": file,
        "bytes": file.stat().st_size,
        "sha256": model.sha256,
        **summarise(model.graph, coverage_of(model.graph, device_operators)),
    }
    if as_json:
        output.emit_json(record)
        return
    output.line("{} is a model for any device, to be kept: {}", file, output.size(record["bytes"]))
    output.line("name     {}", record["name"])
    output.line("sha256   {}", model.sha256)
    show(record)


def _inspect_program(file: Path, secret: Secret | None, names: list[str], as_json: bool) -> None:
    from mace.program.inspecting import inspect_program

    report = inspect_program(file, secret=secret, names=names)
    if as_json:
        output.emit_json({"kind": "program", **asdict(report)})
        return
    output.line("{}: {}", file, output.size(report.nbytes))
    for sentence in report.words:
        output.line("{}", sentence)
    for entry in report.entries:
        key = entry.key.split(" ")[0] if " " in entry.key else entry.key[:16]
        output.line("{}", f"{EntryKind(entry.kind).words} {key}: {output.size(entry.nbytes)}", style="bold")
        for options in dict.fromkeys(k.options for k in entry.kernels if k.options):
            output.line("   options {}", options)
        for kernel in entry.kernels:
            group = "x".join(map(str, kernel.local_size)) if kernel.local_size else "chosen by the driver"
            output.line("   {}  work-group {}", kernel.name, group)
