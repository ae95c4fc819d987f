"""Tuned parameters per device: readable JSON files, one per device identity, shared by all models of a storage folder.

A lookup asks the device's own file first, then those of devices of its family, then of its vendor; a parameter set from
another device is only ever a default to start from, and lowering takes it only if its space allows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mace.device import DeviceIdentity
from mace.errors import ConfigError, LimitError, StorageError
from mace.files.atomic import atomic_write
from mace.files.mapping import open_file
from mace.ops.tunable import SPACES, Space, tuning_key

FORMAT = 1
MAX_FILE_BYTES = 64 << 20
LOCK_SECONDS = 30.0
"""How long a save waits for another process's."""
FOLDER = "tunings"
"""Name of the folder of tuned parameters inside a storage folder."""
LEVELS = ("fast", "normal", "exhaustive")
BROKEN_OFF = ""
"""Level of a problem for which no search has come to its end yet."""


_RANK = {level: rank for rank, level in enumerate((BROKEN_OFF, *LEVELS))}


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best parameters found for one problem. Times are in microseconds, the best of the runs that were timed.

    ``tried`` counts the candidates that were passed, in the order of the cost model: a search that was broken off goes on
    there. ``level`` is the highest whose search came to its end.
    """

    params: Mapping[str, int]
    microseconds: float
    default_microseconds: float
    tried: int
    level: str

    @property
    def gain(self) -> float:
        """How many times faster than the untuned default."""
        return self.default_microseconds / self.microseconds if self.microseconds else 1.0

    def covers(self, level: str) -> bool:
        """Whether a search of this level has nothing left to do."""
        return _RANK[self.level] >= _RANK[level]


@dataclass(frozen=True, slots=True)
class TuningFile:
    """What one device's file holds: whose it is, and the best parameters by tuning key."""

    device: DeviceIdentity
    family: str
    entries: Mapping[str, Tuned]

    def merged(self, newer: Mapping[str, Tuned]) -> TuningFile:
        """With newer entries added; where both have a key, the one is kept whose search went further, else the newer."""
        entries = dict(self.entries)
        for key, tuned in newer.items():
            old = entries.get(key)
            if old is None or (_RANK[tuned.level], tuned.tried) >= (_RANK[old.level], old.tried):
                entries[key] = tuned
        return replace(self, entries=entries)

    def to_bytes(self) -> bytes:
        """Readable JSON, keys sorted: equal files have equal bytes."""
        data = {
            "format": FORMAT,
            "device": self.device.to_json(),
            "family": self.family,
            "entries": {k: asdict(t) | {"params": dict(t.params)} for k, t in sorted(self.entries.items())},
        }
        return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, raw: bytes | memoryview, path: str | Path | None = None) -> TuningFile:
        """Raises ``ConfigError`` naming the file and the field that is wrong."""
        try:
            data = json.loads(bytes(raw))
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r}, expected {FORMAT}")
            entries = {str(k): _tuned(v) for k, v in data["entries"].items()}
            return cls(DeviceIdentity.from_json(data["device"]), str(data["family"]), entries)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            hint = "Tune again, or remove the file"
            raise ConfigError(f"no file of tuned parameters: {error}", path=path, hint=hint) from error


def _tuned(data: Mapping[str, Any]) -> Tuned:
    level = str(data["level"])
    if level not in _RANK:
        raise ValueError(f"level {level!r}")
    return Tuned(
        {str(k): int(v) for k, v in data["params"].items()},
        float(data["microseconds"]),
        float(data["default_microseconds"]),
        int(data["tried"]),
        level,
    )


class TuningDatabase:
    """The tuned parameters that planning for one device may use. ``folder`` None keeps them in memory only."""

    def __init__(self, device: DeviceIdentity, family: str, folder: Path | None = None) -> None:
        self.device, self.family = device, family
        self.folder = folder
        self.own = TuningFile(device, family, {})
        self._others: list[TuningFile] = []
        for file in self._read_all():
            if file.device == device:
                self.own = self.own.merged(file.entries)
            else:
                self._others.append(file)
        self._sort()

    def _sort(self) -> None:
        """Bring other devices' files into the order in which they are asked: family, vendor, the rest."""
        mine = self.family, self.device.vendor_id
        self._others.sort(key=lambda f: (f.family != mine[0], f.device.vendor_id != mine[1], f.device.digest))

    @property
    def path(self) -> Path | None:
        """The device's own file."""
        return None if self.folder is None else self.folder / f"{self.family}-{self.device.digest[:16]}.json"

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> Mapping[str, int] | None:
        """Parameters for a problem: this device's, or its family's, or its vendor's (see ``ops.lowering.Tunings``)."""
        return next((t.params for t in self.found(SPACES[space], problem)), None)

    def found(self, space: Space, problem: Mapping[str, int | str]) -> Iterator[Tuned]:
        """Entries for a problem, the most fitting first."""
        key = tuning_key(space, {k: int(v) for k, v in problem.items()})
        if key in self.own.entries:
            yield self.own.entries[key]
        yield from self.hints(key)

    def hints(self, key: str) -> Iterator[Tuned]:
        """What devices of the same family, then of the same vendor, found best under a tuning key."""
        for file in self._others:
            related = file.family == self.family or file.device.vendor_id == self.device.vendor_id
            if related and key in file.entries:
                yield file.entries[key]

    def put(self, key: str, tuned: Tuned) -> None:
        """Keep a result in memory; :meth:`save` writes it."""
        self.own = self.own.merged({key: tuned})

    def add(self, files: Iterable[TuningFile]) -> None:
        """Take over what other files hold: this device's as its own, others' as hints."""
        for file in files:
            if file.device == self.device:
                self.own = file.merged(self.own.entries)
            else:
                self._others.append(file)
        self._sort()

    def save(self) -> Path | None:
        """Merge into the device's file, atomically. Raises ``StorageError``. Returns its path, None without a folder."""
        path = self.path
        if path is None:
            return None
        from filelock import FileLock, Timeout

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f"{path.name}.lock"), timeout=LOCK_SECONDS, mode=0o600):
                present = read_tuning_file(path) if path.exists() else None
                if present is not None and present.device == self.device:
                    self.own = present.merged(self.own.entries)
                atomic_write(path, [self.own.to_bytes()])
        except Timeout:
            raise StorageError(f"another process has held it for {LOCK_SECONDS:g} s", path=path) from None
        except OSError as error:
            raise StorageError(f"cannot be written: {error.strerror or error}", path=path) from error
        return path

    def _read_all(self) -> Iterator[TuningFile]:
        """Every readable file of the folder; one that is damaged is left alone and not used."""
        for path in sorted(self.folder.glob("*.json")) if self.folder and self.folder.is_dir() else ():
            try:
                yield read_tuning_file(path)
            except (ConfigError, StorageError):
                continue


def read_tuning_file(path: Path) -> TuningFile:
    """A file of tuned parameters. Raises ``StorageError`` or ``ConfigError``."""
    try:
        raw = open_file(path, max_bytes=MAX_FILE_BYTES).data
    except LimitError as error:
        raise ConfigError(error.message, path=path) from error
    return TuningFile.from_bytes(raw, path)
