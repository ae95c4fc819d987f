"""From kernel calls to program text: each distinct specialisation of a template becomes one kernel with a name of its own,
and so does each group of them that one launch does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import prod

from mace.ops.lowering import GROUP_OF_ONE, Constant, Define, KernelCall, Read

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
    parts: tuple[tuple[str, int], ...] = ()
    """Of a kernel that does what several would: the name that each has alone, and how many arguments it takes."""


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


def instance_of_all(calls: Sequence[KernelCall]) -> Instance:
    """One kernel for several calls of groups of one work-item, whose arguments follow one another.

    Work-items of all calls are mixed evenly, so that however they are shared out, everybody gets the same part of each.
    """
    if len(calls) == 1:
        return instance_of(calls[0])
    alone = [instance_of(call) for call in calls]
    sizes = [prod(call.global_size) for call in calls]
    whole = hashlib.sha256(repr([(a.text, c.global_size) for a, c in zip(alone, calls, strict=True)]).encode())
    digest = whole.hexdigest()[:16]
    name = f"together_{digest}"
    texts: list[str] = []
    branches: list[str] = []
    parameters: list[str] = []
    item = "(int)get_global_id(0)"
    for number, (call, own) in enumerate(zip(calls, sizes, strict=True)):
        rest, function = sum(sizes[number:]), f"{call.template}_{digest}_{number}"
        texts.append(_part(call, function, f"MACE_SHARE({item}, {own}, {rest})"))
        first = len(parameters)
        parameters += [f"{'const ' if isinstance(a, Read | Constant) else ''}void" for a in call.args]
        arguments = ", ".join(f"a{i}" for i in range(first, len(parameters)))
        condition = f"if (MACE_SHARE({item} + 1, {own}, {rest}) > MACE_SHARE({item}, {own}, {rest})) "
        branches.append(f"{condition if own < rest else ''}{function}({arguments});")
        item = f"({item} - MACE_SHARE({item}, {own}, {rest}))"
    listed = ", ".join(f"__global {kind} *restrict a{i}" for i, kind in enumerate(parameters))
    kernel = f"{GROUP_OF_ONE} __kernel void {name}({listed})\n{{\n    " + "\n    else ".join(branches) + "\n}\n"
    parts = tuple((a.name, len(c.args)) for a, c in zip(alone, calls, strict=True))
    return Instance(name, "+".join(a.template for a in alone), "".join([*texts, kernel]), parts)


def _part(call: KernelCall, name: str, item: str) -> str:
    """A template as a function that takes ``item``, an expression, for the number of its work-item."""
    width, height = (*call.global_size, 1)[:2]
    ids = f"((d) == 0 ? {item} % {width} : (d) == 1 ? {item} / {width} % {height} : {item} / {width * height})"
    around = {
        "__kernel": "static inline",
        "reqd_work_group_size(x, y, z)": "unused",  # attributes that only a kernel may have
        "vec_type_hint(type)": "unused",
        "get_global_id(d)": ids,
        "get_group_id(d)": "get_global_id(d)",
        "get_local_id(d)": "0",
    }
    return "".join(
        [
            *(f"#define {k} {v}\n" for k, v in around.items()),
            instance_of(call, name).text,
            *(f"#undef {k.split('(')[0]}\n" for k in around),
        ]
    )


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
