"""Make signing keys, and say whose signatures to trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mace.cli import output
from mace.cli.options import JsonOption
from mace.cli.program_options import ask_passphrase
from mace.errors import ConfigError
from mace.program.signing import Algorithm

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def generate(
    path: Annotated[
        Path, typer.Argument(help="Where the private key goes; the public one gets .pub.", show_default=False)
    ],
    algorithm: Annotated[str, typer.Option("--algorithm", help="ecdsa (P-256) or rsa (2048 bits).")] = "ecdsa",
    unprotected: Annotated[bool, typer.Option("--no-passphrase", help="Write the private key unprotected.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key pair. The private key is protected by a passphrase and readable by you alone."""
    from mace.program.keys import generate_keys

    algorithms: dict[str, Algorithm] = {"ecdsa": "ecdsa", "rsa": "rsa"}
    if algorithm not in algorithms:
        raise ConfigError(f"--algorithm '{algorithm}' is none of {', '.join(algorithms)}")
    passphrase = None if unprotected else ask_passphrase("Passphrase for the new key", confirm=True)
    pair = generate_keys(path, passphrase=passphrase, algorithm=algorithms[algorithm], unprotected=unprotected)
    if as_json:
        output.emit_json(pair)
        return
    output.line("wrote {} (keep it secret) and {}", pair.private, pair.public)
    output.line("key {}", pair.id)


@app.command(name="list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys of the trust store."""
    from mace.program.keys import TrustStore

    now = datetime.now(UTC)
    found = TrustStore().keys()
    if as_json:
        output.emit_json([{"status": k.status(now), "name": k.name, "id": k.id, "expires": k.expires} for k in found])
        return
    rows = [(k.name, k.status(now), k.algorithm, k.expires or "never", k.id) for k in found]
    output.table(("name", "status", "kind", "expires", "key"), rows)


@app.command()
def trust(
    public: Annotated[Path, typer.Argument(help="A public key in PEM.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name", help="What to call it; its file name otherwise.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="End the trust after so many days.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Trust a public key: what it signed is loaded."""
    from mace.program.keys import TrustStore, read_key_file

    end = datetime.now(UTC) + timedelta(days=days) if days else None
    key = TrustStore().trust(read_key_file(public), name=name or public.stem, expires=end)
    if as_json:
        output.emit_json(key)
        return
    output.line("trusting '{}' ({}) until {}", key.name, key.id, key.expires or "it is revoked")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="A key's name, or how its identifier begins.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Never trust a key again, also for what it signed before."""
    from mace.program.keys import TrustStore

    found = TrustStore().revoke(key)
    if as_json:
        output.emit_json(found)
        return
    output.line("revoked '{}' ({})", found.name, found.id)
