"""Reads and checks a deployment file as a whole, and says everything that is wrong with it at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mace.deployment import fields, foreign
from mace.deployment.document import Entry, read_document
from mace.deployment.fields import Findings
from mace.deployment.records import Deployment, ModelSpec
from mace.deployment.settings import STORAGES, RunSettings
from mace.deployment.subgraph import read_subgraph
from mace.errors import ConfigError

PLATFORMS = ("onnx", "tensorflow", "caffe", "pytorch", "tflite", "keras", "megengine")
RUNTIMES = ("cpu", "gpu", "cpu+gpu", "auto", *foreign.RUNTIMES)
DATA_TYPES = tuple(name for name in STORAGES if name)
WINDOW_MAX = 1 << 20
_MODEL_KEYS = (
    *("platform", "model_file_path", "model_sha256_checksum", "subgraphs", "runtime", "data_type", "winograd"),
    *("limit_opencl_kernel_time", "opencl_queue_window_size"),
)


def load_deployment(path: str | os.PathLike[str]) -> Deployment:
    """The deployment file at ``path``.

    Raises ``ConfigError`` with one line per problem, each with its line number and key.
    """
    root = read_document(path)
    found = Findings()
    deployment = _read(Path(path), root, found)
    if found.problems:
        lines = "".join(f"\n  {p}" for p in sorted(found.problems, key=lambda p: p.line))
        count = f"{len(found.problems)} problems" if len(found.problems) > 1 else "one problem"
        raise ConfigError(f"{count}:{lines}", path=path)
    return deployment


def _read(path: Path, root: Entry, found: Findings) -> Deployment:
    if not isinstance(root.content, dict):
        found.problem(root, f"the file is {root.kind}, a mapping with 'models' was expected", "(file)")
        return Deployment(path, "", {})
    known = root.fields
    fields.mention(known, foreign.TOP, ("library_name", "models"), found, quiet=("file",))
    models = known.get("models")
    if models is None or not models.fields:
        found.problem(models or root, "no model is described", "models")
        return Deployment(path, "", {})
    library = fields.read_text(known["library_name"], found) if "library_name" in known else path.stem
    specs = {name: _model(name, entry, path.absolute().parent, found) for name, entry in models.fields.items()}
    return Deployment(path, library, specs, tuple(found.notes))


def _model(name: str, entry: Entry, folder: Path, found: Findings) -> ModelSpec:
    known = entry.fields
    if name in ("", ".", "..") or any(c in name for c in "/\\\0"):
        found.problem(entry, f"'{name}' cannot name a file, and a model's files bear its name")
    missing = [k for k in ("platform", "model_file_path", "subgraphs") if k not in known]
    for key in missing:
        found.problem(entry, "is missing", f"{entry.key}.{key}")
    fields.mention(known, foreign.MODEL, _MODEL_KEYS, found, caffe=_is_caffe(known))
    return ModelSpec(
        name=name,
        platform=fields.read_choice(known["platform"], found, PLATFORMS) if "platform" in known else "onnx",
        file=_file(known.get("model_file_path"), folder, found),
        sha256=_optional_sha(known.get("model_sha256_checksum"), found),
        subgraphs=tuple(read_subgraph(e, folder, found) for e in known["subgraphs"].items)
        if "subgraphs" in known
        else (),
        runtime=_runtime(known.get("runtime"), found),
        settings=_settings(known, found),
        folder=folder,
    )


def _is_caffe(known: Mapping[str, Entry]) -> bool:
    return "platform" in known and (known["platform"].text or "").lower() == "caffe"


def _file(entry: Entry | None, folder: Path, found: Findings) -> str:
    if entry is None:
        return ""
    text = fields.read_text(entry, found).strip()
    if not text and entry.text is not None:
        found.problem(entry, "is empty")
    return text if text.startswith(("http://", "https://")) else str(folder / text)


def _optional_sha(entry: Entry | None, found: Findings) -> str:
    return fields.read_sha256(entry, found) if entry is not None else ""


def _runtime(entry: Entry | None, found: Findings) -> str:
    if entry is None:
        return "gpu"
    chosen = fields.read_choice(entry, found, RUNTIMES)
    if chosen in foreign.RUNTIMES:
        found.note(entry, f"'{chosen}' {foreign.RUNTIMES[chosen]}; the model runs on the best OpenCL device")
        return "auto"
    return chosen


def _settings(known: Mapping[str, Entry], found: Findings) -> RunSettings:
    usual = RunSettings()
    window, limit, winograd = (
        known.get(key) for key in ("opencl_queue_window_size", "limit_opencl_kernel_time", "winograd")
    )
    return RunSettings(
        storage=STORAGES[_data_type(known.get("data_type"), found)],
        winograd=fields.read_int(winograd, found, allowed=(0, 2, 4)) if winograd else usual.winograd,
        queue_window=fields.read_int(window, found, most=WINDOW_MAX) if window else usual.queue_window,
        limit_kernel_time=fields.read_switch(limit, found) if limit else usual.limit_kernel_time,
    )


def _data_type(entry: Entry | None, found: Findings) -> str:
    if entry is None:
        return ""
    chosen = fields.read_choice(entry, found, DATA_TYPES)
    if chosen == "fp16_fp16":
        found.note(entry, "tensors are stored in float16, but sums stay in float32, as with fp16_fp32")
    return chosen
