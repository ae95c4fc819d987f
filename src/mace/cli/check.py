"""Say whether a file of compiled programs serves a device, without loading it.

The answer is optimal, usable, recompile or unsupported. The exit code is 0 for the first two, else 6.
"""

from __future__ import annotations

import typer

from mace.cli import output
from mace.cli.options import DeviceOption, JsonOption
from mace.cli.program_options import (
    KeyFileOption,
    PassphraseOption,
    ProgramArgument,
    ReuseOption,
    TrustOption,
    read_reuse,
    read_secret,
    read_trust,
)

app = typer.Typer(add_completion=False)


@app.command()
def check(
    file: ProgramArgument,
    device: DeviceOption = "auto",
    reuse: ReuseOption = "exact",
    trust: TrustOption = "own",
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    from mace.opencl import select_device
    from mace.program.checking import Fitness, check_program

    policy = read_reuse(reuse)
    chosen = select_device(device)
    report = check_program(
        file,
        chosen.identity,
        takes_spirv=chosen.info.takes_spirv,
        reuse=policy,
        trust=read_trust(trust),
        secret=read_secret(key_file, passphrase),
    )
    if as_json:
        output.emit_json(report)
    else:
        detail = f" ({report.detail})" if report.detail else ""
        output.line("{}: {}{}", report.fitness, report.reason.sentence, detail, style="bold")
        rows = [("" if c.equal else "≠", c.name, c.here, c.there) for c in report.components]
        if rows:
            output.table(("", "component", "this device", "the file"), rows)
    if report.fitness not in (Fitness.OPTIMAL, Fitness.USABLE):
        raise typer.Exit(6)
