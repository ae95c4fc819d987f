"""Start a model as `mace run` would, and say which program files were looked at, in which order, and why each was
used or not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import DeviceOption, JsonOption, ModelArgument, StorageOption
from mace.cli.program_options import (
    KeyFileOption,
    PassphraseOption,
    ReuseOption,
    TrustOption,
    read_policy,
    read_reuse,
    read_secret,
)

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    model: ModelArgument,
    programs: Annotated[
        list[Path] | None, typer.Option("--program", "-p", help="A file of compiled programs; may be given again.")
    ] = None,
    device: DeviceOption = "auto",
    storage: StorageOption = None,
    reuse: ReuseOption = "exact",
    trust: TrustOption = "own",
    key_file: KeyFileOption = None,
    passphrase: PassphraseOption = False,
    as_json: JsonOption = False,
) -> None:
    import mace
    from mace.program.reasons import Reason

    with mace.load(
        model,
        device=device,
        compiled_program=tuple(programs or ()),
        storage=storage,
        reuse=read_reuse(reuse),
        trust=read_policy(trust),
        secret=read_secret(key_file, passphrase),
    ) as engine:
        engine.warm_up()
        stats = engine.stats.to_json()
    if as_json:
        output.emit_json(stats)
        return
    output.line("on {}:", stats["device"], style="bold")
    place = ""
    for look in stats["looks"]:
        if look["where"] != place:
            place = look["where"]
            output.line("{}", place, whole=True)
        sought = f"{look['sought']}: " if look["sought"] else ""
        detail = f" ({look['detail']})" if look["detail"] else ""
        output.line("  {}{}{}", sought, Reason(look["reason"]).sentence, detail)
    output.line("{}", output.compiled(stats), style="bold")
