"""The few numbers that a reader looks for first: start, run, accuracy, findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from mace.report.text import counted, duration

Mood = Literal["good", "bad", ""]


@dataclass(frozen=True, slots=True)
class Key:
    """One number with its name and a line that puts it in its place; ``mood`` says whether it is a verdict."""

    name: str
    value: str
    words: str
    mood: Mood = ""


def key_figures(record: Mapping[str, Any]) -> list[Key]:
    """Those that the record has numbers for, in the order of a deployment."""
    results = record["results"]
    bench, validation = results["bench"], results["validation"]
    return [
        *(_of_starts(bench["starts"]) if bench else ()),
        *(_of_latency(bench["latency"]) if bench and bench["latency"] else ()),
        *(_of_validation(validation) if validation else ()),
        _of_findings(record["troubleshooting"]["findings"]),
    ]


def _of_starts(starts: Mapping[str, Any]) -> Iterator[Key]:
    kind = next((k for k in ("program", "storage", "cold") if k in starts), None)
    if kind is None:
        return
    names = {"program": "from the program file", "storage": "from the storage", "cold": "with nothing compiled"}
    own = {k: _load(s) for k, s in starts.items()}
    words = names[kind]
    if kind != "cold" and "cold" in own:
        words += f"; {duration(own['cold'])} with nothing compiled, {own['cold'] / own[kind]:.0f} times as long"
    yield Key("Load and first run", duration(own[kind]), words)


def _load(start: Mapping[str, Any]) -> float:
    seconds = start["seconds"]
    return float(median(seconds["load"])) + float(median(seconds["first_run"]))


def _of_latency(latency: Mapping[str, Any]) -> Iterator[Key]:
    yield Key("One run", duration(latency["median"]), f"median; 99 % within {duration(latency['p99'])}")


def _of_validation(validation: Mapping[str, Any]) -> Iterator[Key]:
    worst = min(validation["outputs"], key=lambda o: o["snr_db"], default=None)
    if worst is None:
        return
    layers = validation.get("layers") or {}
    missed = any(o["broken"] for o in validation["outputs"]) or bool(layers.get("first"))
    verdict = "a threshold is missed" if missed else "within every threshold"
    value = "none" if not worst["differing"] else f"{worst['relative']:.1e}".replace("e-0", "e-")
    words = f"of the output's range, beside {validation['source']['runtime']}; {verdict}"
    yield Key("Largest error", value, words, "bad" if missed else "good")
    if validation.get("accuracy"):
        yield _of_accuracy(validation["accuracy"])


def _of_accuracy(accuracy: Mapping[str, Any]) -> Key:
    source, *others = accuracy["contenders"]
    score = next(iter(source["scores"]))
    worst = min(others, key=lambda c: float(c["scores"][score]), default=source)
    drops = [f"{c['contender']}: {c['score']}" for c in accuracy["comparisons"] if c["verdict"] == "drop"]
    verdict = f"a drop ({', '.join(drops)})" if drops else "no drop"
    words = f"{worst['name']}, the source {source['scores'][score]:.2%}; {verdict}"
    return Key(score, f"{worst['scores'][score]:.2%}", words, "bad" if drops else "good")


def _of_findings(findings: list[Mapping[str, Any]]) -> Key:
    grave = [f for f in findings if f["severity"] != "note"]
    if not grave:
        return Key("mace doctor", "nothing wrong", "with this set of files on this machine", "good")
    return Key("mace doctor", counted(len(grave), "finding"), ", ".join(dict.fromkeys(f["code"] for f in grave)), "bad")
