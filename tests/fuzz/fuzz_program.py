"""Fuzz every reader of program files: nothing but errors of our own tree may come out.

``python tests/fuzz/fuzz_program.py [SECONDS]`` runs it: guided by coverage where the package atheris is installed, else by
random changes to the seeds. The seeds are the test vectors. The first byte of an input chooses the reader, so that the
inner ones are reached without a hash that holds.
"""

from __future__ import annotations

import random
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mace.errors import ProgramFileError
from mace.program import compress, encrypt, envelope, movidius, obfuscate, table, upstream, upstream_content
from mace.program.codec import decode_program
from mace.program.limits import MIB, Limits

SEEDS = Path(__file__).parents[1] / "program" / "vectors"
LIMITS = Limits(file_bytes=16 * MIB, decompressed_bytes=4 * MIB, window_bytes=4 * MIB, scrypt_bytes=MIB)
KEY = encrypt.Secret.raw(bytes(range(32)))


def _upstream_with_crc(data: bytes) -> object:
    return upstream_content.from_upstream(data + zlib.crc32(data).to_bytes(4, "little"), limits=LIMITS)


def _rewrite_upstream(data: bytes) -> object:
    file = upstream.parse_upstream(data, limits=LIMITS)
    assert upstream.parse_upstream(upstream.encode_upstream(file)).values == file.values
    return file


def _names(data: bytes) -> object:
    return obfuscate.likely_name(data.decode("latin-1"))


READERS: tuple[Callable[[bytes], object], ...] = (
    lambda data: decode_program(data, secret=KEY, limits=LIMITS),
    lambda data: decode_program(data, verify=False, limits=LIMITS),
    lambda data: table.decode_table(data, verify=False, limits=LIMITS),
    lambda data: table.decode_index(data, limits=LIMITS),
    envelope.parse_header,
    lambda data: compress.decompress(data, limits=LIMITS),
    lambda data: encrypt.decrypt(data, KEY, limits=LIMITS),
    lambda data: upstream_content.from_upstream(data, limits=LIMITS),
    _upstream_with_crc,
    _rewrite_upstream,
    movidius.read_facts,
    _names,
)


def one_input(data: bytes) -> None:
    """Give one input to the reader it names."""
    if data:
        with suppress(ProgramFileError):
            READERS[data[0] % len(READERS)](data[1:])


def seeds() -> list[bytes]:
    """Every vector for every reader, also without its envelope."""
    files = [p.read_bytes() for p in sorted(SEEDS.glob("*.bin"))]
    files += [f[envelope.HEADER_BYTES :] for f in files if f[:4] == envelope.MAGIC]
    return [bytes([reader]) + f for f in files for reader in range(len(READERS))]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A few random changes: flips, numbers that are often wrong, cuts, repeats."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(1, max(2, len(changed)))
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + 4] = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(data))).to_bytes(4, "little")
            case 2:
                del changed[at : at + rng.randrange(1, 64)]
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(1, 64)]
            case _:
                changed[at : at + 1] = rng.randbytes(rng.randrange(1, 4))
    return bytes(changed)


def run_random(seconds: float, seed: int = 0) -> int:
    """Mutate the seeds for so long; how many inputs were tried."""
    rng, corpus, count = random.Random(seed), seeds(), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutate(rng.choice(corpus), rng)
        try:
            one_input(data)
        except BaseException:
            Path("crash.bin").write_bytes(data)
            raise
        count += 1
    return count


def main() -> None:
    """Fuzz until the time is over."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    try:
        import atheris
    except ImportError:
        print(f"{run_random(seconds)} inputs, nothing but errors of our own")
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds()):
            Path(folder, str(number)).write_bytes(seed)
        words = [sys.argv[0], folder, f"-max_total_time={seconds}", "-rss_limit_mb=1024", "-max_len=16384"]
        atheris.instrument_all()
        atheris.Setup(words, one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
