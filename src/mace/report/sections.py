"""The parts of a report that are words: pairs of name and value per section, ready for any form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mace.report.text import moment, size

Pairs = list[tuple[str, str]]


def overview(record: Mapping[str, Any]) -> dict[str, Pairs]:
    """Model, source and device, each as pairs."""
    about = record["overview"]
    model, source, device = about["model"], about["source"], about["device"]
    parts: dict[str, Pairs] = {
        "Model": [
            ("Name", model["name"]),
            ("File", f"{model['path']} ({size(model['bytes'])})"),
            ("SHA-256", model["sha256"]),
            *(("Input", f"{n}: {t}") for n, t in model["inputs"].items()),
            *(("Output", f"{n}: {t}") for n, t in model["outputs"].items()),
        ]
    }
    if source is None:
        parts["Framework"] = [("Source", "not given")]
    elif source.get("problem"):
        parts["Framework"] = [("Source", source["path"]), ("Problem", source["problem"])]
    else:
        opsets = ", ".join(f"{d} {v}" for d, v in source["opsets"].items())
        parts["Framework"] = [
            ("Written by", source["framework"]),
            ("Format", f"{source['format']}; opset {opsets}; {source['nodes']} nodes"),
            ("File", f"{source['path']} ({size(source['bytes'])})"),
            ("SHA-256", source["sha256"]),
        ]
    if device is None:
        parts["Target device"] = [("Device", "there is none on this machine")]
    else:
        names = {k: k.replace("_", " ").capitalize().replace("Os", "OS") for k in device["identity"]}
        parts["Target device"] = [
            ("Device", f"{device['label']} ({device['kind']}, {device['compute_units']} compute units)"),
            *((names[k], str(v)) for k, v in device["identity"].items()),
            ("Identity", device["digest"]),
        ]
    host = record["host"]
    parts["Made"] = [
        ("When", moment(record["created"])),
        ("By", f"mace {record['mace']}, Python {host['python']}"),
        ("On", f"{host['system']}, {host['cores']} cores"),
    ]
    return parts


def program(record: Mapping[str, Any]) -> Pairs:
    """The program file."""
    p = record["program"]
    if p is None:
        return [("File", "none; kernels are compiled at the first start and kept in the storage")]
    if p.get("problem"):
        return [("File", p["path"]), ("Problem", p["problem"])]
    signature = "unsigned" if p["signature"] == "none" else f"signed {p['signature']}"
    how = [w for w in ("compressed" if p["compressed"] else "", "encrypted" if p["encrypted"] else "") if w]
    return [
        ("File", p["path"]),
        ("Layout", p["layout"] + (f", {', '.join(how)}" if how else "")),
        ("Size", f"{size(p['bytes'])} in {len(p['entries'])} sections, {p['kernels']} kernels"),
        ("Digest", p["digest"]),
        ("Signature", signature + ("; written by this user on this machine" if p["own"] else "")),
        *(
            ("Belongs to", f"{d['platform_name']}: {d['device_name']}, driver {d['driver_version']}")
            for d in p["devices"]
        ),
        ("Written", moment(p["written"])),
        ("Tuned parameters", "inside" if p["tuned"] else "none inside"),
    ]


def missing(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was not measured, with the option that has it measured."""
    found = []
    if not record["results"]["bench"]:
        found.append(("Start-up, latency and throughput were not measured.", "mace report … --measure"))
    if not record["results"]["validation"]:
        found.append(("Accuracy against the source was not measured.", "mace report … --measure --against model.onnx"))
    return found
