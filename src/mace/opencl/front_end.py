"""OpenCL C to SPIR-V without a driver: ``clang`` makes LLVM's bitcode of it, and ``llvm-spirv`` SPIR-V of that.

Both are programs of the machine (Debian: ``clang-15`` and ``llvm-spirv-15``), needed where SPIR-V is made and nowhere else.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from mace.errors import BuildError, DeviceError

VERSIONS = range(25, 13, -1)
"""Versions of LLVM whose programs are looked for by name, the newest first; bitcode goes from one to the same."""
SECONDS = 300.0
"""How long each program may take over one source."""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """The two programs, by path."""

    clang: str
    llvm_spirv: str

    @classmethod
    def find(cls) -> FrontEnd:
        """The pair on PATH that bears no version, else the newest of one. Raises ``DeviceError`` that says what to install."""
        for suffix in ("", *(f"-{version}" for version in VERSIONS)):
            clang, llvm_spirv = shutil.which(f"clang{suffix}"), shutil.which(f"llvm-spirv{suffix}")
            if clang and llvm_spirv:
                return cls(clang, llvm_spirv)
        raise DeviceError(
            "making SPIR-V takes clang and llvm-spirv of one version, and they are not on PATH; "
            "on Debian and Ubuntu: apt install clang-15 llvm-spirv-15"
        )

    def translate(self, source: str, options: str = "") -> bytes:
        """SPIR-V of one program for devices of 64-bit addresses; ``options`` are those of ``clBuildProgram``.

        Raises ``BuildError`` with the program's words when one of them refuses.
        """
        # LLVM's passes are the driver's business; after them the translator meets instructions that SPIR-V has not.
        compiler = [
            self.clang,
            "-x",
            "cl",
            *options.split(),
            "-target",
            "spir64",
            "-O2",
            "-Xclang",
            "-disable-llvm-passes",
        ]
        compiler += ["-Xclang", "-finclude-default-header", "-emit-llvm", "-c", "-o", "-", "-"]
        bitcode = _run(compiler, source.encode())
        return _run([self.llvm_spirv, "--spirv-ext=+SPV_KHR_integer_dot_product", "-o", "-", "-"], bitcode)


def _run(command: list[str], data: bytes) -> bytes:
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{command[0]} cannot translate to SPIR-V: {error}") from error
    if done.returncode or not done.stdout:
        raise BuildError(f"{command[0]} refused a program", log=done.stderr.decode(errors="replace"))
    return done.stdout
