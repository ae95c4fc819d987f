"""Put several files of compiled programs into one; where two have the same section, the later file's is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import KeyFileOption, PassphraseOption, TrustOption, read_secret, read_trust

app = typer.Typer(add_completion=False)


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Files of compiled programs, of any layout.", show_default=False)],
    destination: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    compressed: Annotated[bool, typer.Option("--compress", help="Smaller, and slower to start from.")] = False,
    trust: TrustOption = "own",
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    from mace.program import content
    from mace.program.files import write_program
    from mace.program.opening import open_trusted, save_own
    from mace.program.trust import Origin

    judge, secret = read_trust(trust), read_secret(key_file, passphrase)
    opened = [open_trusted(file, judge, secret=secret) for file in files]
    merged = content.ProgramContent()
    for program in opened:
        merged = content.merge(merged, program.file.content)
    own = all(program.verdict.origin is Origin.OWN for program in opened)
    if own:
        saved = save_own(destination, merged, judge, compressed=compressed)
    else:
        saved = write_program(destination, merged, compressed=compressed)
    if as_json:
        output.emit_json(
            {"path": saved.path, "entries": saved.entries, "bytes": saved.bytes, "digest": saved.digest, "own": own}
        )
        return
    output.line("wrote {}: {} sections, {}", saved.path, saved.entries, output.size(saved.bytes))
    if not own:
        output.line("some of it is from elsewhere: the new file is loaded once it is signed by a trusted key")
