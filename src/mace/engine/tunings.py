"""Where an engine's tuned parameters come from, and how they get into its program file."""

from __future__ import annotations

import os
from pathlib import Path

from mace.engine.settings import EngineSettings
from mace.errors import ConfigError
from mace.opencl import Device
from mace.program.content import Entry, EntryKind
from mace.program.library import ProgramLibrary
from mace.tuning.database import FOLDER, TuningDatabase, TuningFile, read_tuning_file

KEY = "tunings"
"""Key of the tuned parameters in a program file."""
PARAMETERS_VARIABLE = "MACE_RUN_PARAMETER_PATH"


def open_tunings(device: Device, library: ProgramLibrary, settings: EngineSettings) -> TuningDatabase:
    """Tuned parameters of the storage folder, then of the program files, then of the parameter file in the settings.

    Raises ``StorageError`` or ``ConfigError`` when a parameter file was named and cannot be used.
    """
    folder = library.storage.folder / FOLDER if library.storage else None
    database = TuningDatabase(device.identity, device.traits.family, folder)
    own = library.find(EntryKind.TUNING, KEY)
    for entry in [*([own] if own else []), *library.hints(EntryKind.TUNING, KEY)]:
        try:
            database.add([TuningFile.from_bytes(entry.payload)])
        except ConfigError:
            continue
    parameters = settings.parameters or os.environ.get(PARAMETERS_VARIABLE)
    if parameters:
        database.add([read_tuning_file(Path(parameters))])
    return database


def keep_tunings(library: ProgramLibrary, database: TuningDatabase) -> None:
    """Put this device's tuned parameters among what the program file will hold."""
    if database.own.entries:
        entry = Entry.make(EntryKind.TUNING, KEY, database.own.to_bytes(), device=library.device)
        library.add(entry)
