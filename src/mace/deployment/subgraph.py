"""One subgraph of a deployment file: its tensors, the data it is checked with, and its thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mace.deployment import fields, foreign
from mace.deployment.document import Entry
from mace.deployment.fields import Findings
from mace.deployment.records import Subgraph, TensorSpec
from mace.tensor import DType

FORMATS = ("NHWC", "NCHW", "OIHW", "NONE")
DATA_TYPES = ("float32", "int32", "int64", "float16", "bfloat16", "int8", "uint8", "bool")
DEVICES = ("cpu", "gpu", "hexagon", "dsp", "hta", "apu", "htp")
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
THRESHOLDS = ("cosine", "snr_db", "relative", "max_abs", "mean_abs", "differing")
_OWN_DEVICES = ("cpu", "gpu")
_TENSOR_KEYS = ("tensors", "shapes", "data_formats", "data_types", "ranges")
_OWN_KEYS = (
    *(f"{side}_{key}" for side in ("input", "output") for key in _TENSOR_KEYS),
    *("validation_inputs_data", "validation_outputs_data", "validation_threshold", "accuracy_validation_script"),
)

T = TypeVar("T")


def read_subgraph(entry: Entry, folder: Path, found: Findings) -> Subgraph:
    """The subgraph that an entry describes; what is wrong with it goes to ``found``."""
    known = entry.fields
    if not known:
        found.problem(entry, f"is {entry.kind}, a mapping with input_tensors and output_tensors was expected")
        return Subgraph((), ())
    fields.mention(known, foreign.SUBGRAPH, _OWN_KEYS, found)
    data, outputs = (_paths(known.get(f"validation_{side}_data"), folder, found) for side in ("inputs", "outputs"))
    if outputs:
        found.note(known["validation_outputs_data"], "the source model is run anew, so its kept answers are not needed")
    script = _paths(known.get("accuracy_validation_script"), folder, found)
    return Subgraph(
        inputs=_tensors("input", entry, known, found),
        outputs=_tensors("output", entry, known, found),
        validation_inputs=data,
        validation_outputs=outputs,
        thresholds=_thresholds(known.get("validation_threshold"), found),
        accuracy_script=script[0] if script else "",
    )


def _tensors(side: str, entry: Entry, known: Mapping[str, Entry], found: Findings) -> tuple[TensorSpec, ...]:
    if f"{side}_tensors" not in known:
        found.problem(entry, "is missing", f"{entry.key}.{side}_tensors")
        return ()
    names = fields.read_texts(known[f"{side}_tensors"], found)
    for name in {n for n in names if names.count(n) > 1}:
        found.problem(known[f"{side}_tensors"], f"'{name}' comes twice")

    def column(key: str, read: Any, *, spread: bool = False) -> list[Any]:
        given = known.get(f"{side}_{key}")
        return _aligned(given, read(given, found) if given else [], names, found, spread=spread)

    shapes = column("shapes", fields.read_shapes)
    formats = column("data_formats", lambda e, f: [fields.read_choice(i, f, FORMATS) for i in e.items], spread=True)
    kinds = column("data_types", lambda e, f: [fields.read_choice(i, f, DATA_TYPES) for i in e.items], spread=True)
    ranges = column("ranges", fields.read_ranges)
    return tuple(
        TensorSpec(name, shape, data_format or "", DType(kind) if kind else None, span)
        for name, shape, data_format, kind, span in zip(names, shapes, formats, kinds, ranges, strict=True)
    )


def _aligned(
    entry: Entry | None, values: Sequence[T], names: Sequence[str], found: Findings, *, spread: bool
) -> list[T | None]:
    """One value per tensor; ``spread`` lets a single one stand for all."""
    if entry is None or not values:
        return [None] * len(names)
    if spread and len(values) == 1:
        return [values[0]] * len(names)
    if len(values) != len(names):
        found.problem(entry, f"has {len(values)} values for {len(names)} tensors")
        return [None] * len(names)
    return list(values)


def _paths(entry: Entry | None, folder: Path, found: Findings) -> tuple[str, ...]:
    if entry is None:
        return ()
    texts = [t.strip() for t in fields.read_texts(entry, found)]
    return tuple(t if t.startswith(("http://", "https://")) else str(folder / t) for t in texts if t)


def _thresholds(entry: Entry | None, found: Findings) -> dict[str, dict[str, dict[str, float]]]:
    """Per device a cosine similarity, or thresholds by name, or either of these per precision."""
    if entry is None:
        return {}
    if not entry.fields:
        found.problem(entry, f"is {entry.kind}, a mapping such as {{GPU: 0.995}} was expected")
        return {}
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, value in entry.fields.items():
        kind = name.lower()
        if kind not in DEVICES:
            found.problem(value, f"'{name}' is none of {', '.join(d.upper() for d in DEVICES)}")
        elif kind not in _OWN_DEVICES:
            found.note(value, "mace does not drive this device")
        else:
            result[kind] = _of_device(value, found)
    return result


def _of_device(entry: Entry, found: Findings) -> dict[str, dict[str, float]]:
    if not entry.fields:
        return {"": {"cosine": _similarity(entry, found)}}
    result: dict[str, dict[str, float]] = {}
    for name, value in entry.fields.items():
        if name in PRECISIONS:
            named = {n: fields.read_number(v, found) for n, v in value.fields.items() if _is_threshold(n, v, found)}
            result[name] = named if value.fields else {"cosine": _similarity(value, found)}
        elif _is_threshold(name, value, found):
            result.setdefault("", {})[name] = fields.read_number(value, found)
    return result


def _is_threshold(name: str, entry: Entry, found: Findings) -> bool:
    if name not in THRESHOLDS:
        found.problem(entry, f"'{name}' is none of {', '.join((*PRECISIONS, *THRESHOLDS))}")
    return name in THRESHOLDS


def _similarity(entry: Entry, found: Findings) -> float:
    value = fields.read_number(entry, found)
    if value > 1.0:
        found.problem(entry, f"{value:g} is over 1, which no cosine similarity reaches")
    return value
