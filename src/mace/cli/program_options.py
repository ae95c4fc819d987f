"""Options that the commands about program files share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mace.errors import ConfigError

if TYPE_CHECKING:  # a start imports them while the device is being opened
    from mace.program.codec import ProgramFile
    from mace.program.encrypt import Secret
    from mace.program.reuse import ReusePolicy
    from mace.program.trust import Trust, TrustPolicy

ProgramArgument = Annotated[
    Path, typer.Argument(help="A file of compiled programs, of any layout.", show_default=False)
]

KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file", help="File with the key of an encrypted program file: 32 bytes or 64 hexadecimal digits."
    ),
]

PassphraseOption = Annotated[
    bool,
    typer.Option(
        "--passphrase", help="Ask for the passphrase of an encrypted program file ($MACE_PASSPHRASE sets it)."
    ),
]

TrustOption = Annotated[
    str,
    typer.Option(
        "--trust", help="own: written by mace here, or signed; signed: by a trusted key only; any: take it as it is."
    ),
]

ReuseOption = Annotated[
    str,
    typer.Option(
        "--reuse", help="exact: only for the very same device and driver; same-gpu: upstream MACE's rule; none."
    ),
]


def read_secret(key_file: Path | None, passphrase: bool, *, confirm: bool = False) -> Secret | None:
    """The secret that the options name, or None. Asks for a passphrase where the environment has none."""
    if key_file is None and not passphrase:
        return None
    from mace.program.encrypt import Secret

    if key_file is not None:
        return Secret.file(key_file)
    return Secret.passphrase(ask_passphrase("Passphrase", confirm=confirm))


def ask_passphrase(prompt: str, *, confirm: bool = False) -> str:
    """A passphrase out of ``MACE_PASSPHRASE``, or asked for without showing it."""
    import os

    text = os.environ.get("MACE_PASSPHRASE") or typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm)
    return str(text)


def read_trust(policy: str) -> Trust:
    """What judges files by the policy of this name. Raises ``ConfigError`` for another word."""
    from mace.program.trust import Trust

    return Trust(read_policy(policy))


def read_policy(policy: str) -> TrustPolicy:
    """The policy by its name. Raises ``ConfigError`` for another word."""
    policies: dict[str, TrustPolicy] = {"own": "own", "signed": "signed", "any": "any"}
    if policy not in policies:
        raise ConfigError(f"--trust '{policy}' is none of {', '.join(policies)}")
    return policies[policy]


def read_reuse(policy: str) -> ReusePolicy:
    """The reuse policy by its name. Raises ``ConfigError`` for another word."""
    policies: dict[str, ReusePolicy] = {"none": "none", "exact": "exact", "same-gpu": "same-gpu"}
    if policy not in policies:
        raise ConfigError(f"--reuse '{policy}' is none of {', '.join(policies)}")
    return policies[policy]


def read_file(file: Path, key_file: Path | None = None, passphrase: bool = False) -> ProgramFile:
    """A file and what it holds, its hashes checked. It is only looked at here, so nobody need be trusted."""
    from mace.program.files import read_program

    return read_program(file, secret=read_secret(key_file, passphrase))
