"""Take one section out of a file of compiled programs, unchanged: a driver's binary, a plan, a Movidius blob."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import KeyFileOption, PassphraseOption, ProgramArgument, read_file
from mace.errors import ConfigError
from mace.program.content import EntryKind

app = typer.Typer(add_completion=False)


@app.command()
def extract(
    file: ProgramArgument,
    key: Annotated[str, typer.Argument(help="The section's key, or how its key or hash begins.", show_default=False)],
    destination: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    kind: Annotated[str, typer.Option("--kind", help=f"Sections of this kind only: {', '.join(EntryKind)}.")] = "",
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    from mace.program.conversion import extract_section

    if kind and kind not in list(EntryKind):
        raise ConfigError(f"--kind '{kind}' is none of {', '.join(EntryKind)}")
    wanted = EntryKind(kind) if kind else None
    entry = extract_section(read_file(file, key_file, passphrase).content, key, destination, wanted)
    if as_json:
        output.emit_json({"path": destination, "kind": entry.kind, "key": entry.key, "sha256": entry.sha256})
        return
    output.line("wrote {}: {} {}, {}", destination, entry.kind, entry.key, output.size(entry.nbytes))
