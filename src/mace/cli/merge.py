"""Put several files of compiled programs into one; where two have the same section, the later file's is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import TrustOption, read_trust

app = typer.Typer(add_completion=False)


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Files of compiled programs, of any layout.", show_default=False)],
    destination: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    compressed: Annotated[bool, typer.Option("--compress", help="Smaller, and slower to start from.")] = False,
    trust: TrustOption = "own",
    as_json: JsonOption = False,
) -> None:
    from mace.program import content
    from mace.program.opening import open_trusted, save_own

    judge = read_trust(trust)
    merged = content.ProgramContent()
    for file in files:
        merged = content.merge(merged, open_trusted(file, judge).file.content)
    saved = save_own(destination, merged, judge, compressed=compressed)
    if as_json:
        output.emit_json({"path": saved.path, "entries": saved.entries, "bytes": saved.bytes, "digest": saved.digest})
        return
    output.line("wrote {}: {} sections, {}", saved.path, saved.entries, output.size(saved.bytes))
