"""From kernel calls to program text: each distinct specialisation of a template becomes one kernel with a name of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mace.ops.lowering import Define, KernelCall
from mace.plan.plan import Part

_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)


@cache
def template_text(name: str) -> str:
    """Text of the template ``mace/kernels/<name>.cl``."""
    return resources.files("mace.kernels").joinpath(f"{name}.cl").read_text(encoding="utf-8")


@cache
def template_macros(name: str) -> tuple[str, ...]:
    """Every macro the template defines, guarded defaults included."""
    return tuple(dict.fromkeys(_MACRO.findall(template_text(name))))


def define_text(value: Define) -> str:
    """A macro's value as OpenCL C: a float is a float32 literal with all its digits."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        if value != value:
            return "NAN"
        if value in (float("inf"), float("-inf")):
            return "INFINITY" if value > 0 else "(-INFINITY)"
        return f"({value!r}f)" if "e" in repr(value) or "." in repr(value) else f"({value!r}.0f)"
    return str(value)


@dataclass(frozen=True, slots=True)
class Instance:
    """One specialised kernel: its unique name and the text that defines it."""

    name: str
    template: str
    text: str
    parts: tuple[Part, ...] = ()
    """What a kernel of several does (``plan/chain.py``)."""


def instance_of(call: KernelCall, name: str = "") -> Instance:
    """The kernel a call needs. Equal templates and macros give equal names; a macro may have parameters: ``"F(x)"``.

    With a ``name``, that is its function's.
    """
    defines = {k: _one_line(define_text(v)) for k, v in sorted(call.defines.items())}
    body = template_text(call.template)
    digest = hashlib.sha256(repr((call.template, body, sorted(defines.items()))).encode()).hexdigest()[:16]
    name = name or f"{call.template}_{digest}"
    macros = dict.fromkeys([*defines, *template_macros(call.template), "KERNEL_NAME"])
    text = "".join(
        [
            f"#define KERNEL_NAME {name}\n",
            *(f"#define {k} {v}\n" for k, v in defines.items()),
            body if body.endswith("\n") else body + "\n",
            *(f"#undef {m.split('(')[0]}\n" for m in macros),
        ]
    )
    return Instance(name, call.template, text)


def program_text(instances: Iterable[Instance]) -> str:
    """Source of one program: the common part, then each kernel."""
    return template_text("common") + "".join(i.text for i in instances)


def program_key(source: str, options: str) -> str:
    """What a compiled program is kept under: SHA-256 of its source and build options, in hexadecimal."""
    return hashlib.sha256(f"{options}\0{source}".encode()).hexdigest()


def build_options_for(options: str, instances: Iterable[Instance]) -> str:
    """The options to build these kernels with: integer dot products are declared from OpenCL C 3.0 on."""
    if any("#define INTEGER_DOT 1\n" in i.text for i in instances):
        return options.replace("-cl-std=CL1.2", "-cl-std=CL3.0")
    return options


def split_units(instances: Iterable[Instance], units: int) -> list[list[Instance]]:
    """Share kernels among programs that are built side by side, evenly by length of text."""
    groups: list[list[Instance]] = [[] for _ in range(max(1, units))]
    loads = [0] * len(groups)
    for instance in sorted(instances, key=lambda i: (-len(i.text), i.name)):
        lightest = loads.index(min(loads))
        groups[lightest].append(instance)
        loads[lightest] += len(instance.text)
    return [sorted(g, key=lambda i: i.name) for g in groups if g]


def _one_line(text: str) -> str:
    return " ".join(text.split())
