"""Is the source model the one that the deployment file means?"""

from __future__ import annotations

import hashlib

from mace.deployment.records import ModelSpec
from mace.errors import ConfigError


def check_sum(spec: ModelSpec) -> None:
    """Hash the source model where the file gives a checksum. Raises ``ConfigError`` when it is missing or another one."""
    try:
        with spec.source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if spec.sha256 else ""
    except OSError as error:
        raise ConfigError(
            f"models.{spec.name}.model_file_path cannot be read: {error.strerror or error}", path=spec.source
        ) from error
    if digest != spec.sha256:
        raise ConfigError(
            f"models.{spec.name}.model_sha256_checksum is {spec.sha256}, the file has {digest}",
            path=spec.source,
            hint="Get the right file, or write the new checksum if the change is meant",
        )
