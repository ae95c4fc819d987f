"""Say how two files of compiled programs differ. The exit code is 1 when they do."""

from __future__ import annotations

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import KeyFileOption, PassphraseOption, ProgramArgument, read_file

app = typer.Typer(add_completion=False)


@app.command()
def diff(
    first: ProgramArgument,
    second: ProgramArgument,
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    from mace.program.difference import diff_files

    found = diff_files(read_file(first, key_file, passphrase), read_file(second, key_file, passphrase))
    if as_json:
        output.emit_json(found)
    else:
        for name, (before, after) in found.wrapping.items():
            output.line("~ {}: {} → {}", name, before, after, style="yellow")
        for kind, key, _ in found.removed:
            output.line("- {} {}", kind, key, style="red")
        for kind, key, _ in found.added:
            output.line("+ {} {}", kind, key, style="green")
        for entry in found.changed:
            sizes = f"{output.size(entry.sizes[0])} → {output.size(entry.sizes[1])}"
            output.line("~ {} {}: {} differ, {}", entry.kind, entry.key, ", ".join(entry.what), sizes, style="yellow")
        for device in found.devices_removed:
            output.line("- device {} on {}", device.device_name, device.platform_name)
        for changed in found.devices_added:
            output.line("+ device {} on {}", changed.device.device_name, changed.device.platform_name)
            for name, (before, after) in changed.differences.items():
                output.line("    {}: {} → {}", name, before, after)
        output.line("{} sections are equal", found.unchanged)
    if not found.is_empty:
        raise typer.Exit(1)
