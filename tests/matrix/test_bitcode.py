"""The bits to flip in LLVM bitcode, found in streams put together here."""

from __future__ import annotations

import pytest

from tests.matrix.bitcode import MAGIC, addition_bits, records


class _Stream:
    """Bits, lowest first."""

    def __init__(self) -> None:
        self.bits = [int(b) for byte in MAGIC for b in f"{byte:08b}"[::-1]]

    def put(self, value: int, width: int) -> _Stream:
        self.bits += [value >> i & 1 for i in range(width)]
        return self

    def align(self) -> _Stream:
        self.bits += [0] * (-len(self.bits) % 32)
        return self

    def enter(self, block: int, outer: int, inner: int) -> _Stream:
        """ENTER_SUBBLOCK; nobody reads the length."""
        return self.put(1, outer).put(block, 8).put(inner, 4).align().put(0, 32)

    def record(self, code: int, *values: int) -> _Stream:
        """UNABBREV_RECORD, at abbreviation ids of 4 bits, of numbers below 32."""
        self.put(3, 4).put(code, 6).put(len(values), 6)
        for value in values:
            self.put(value, 6)
        return self

    def leave(self) -> _Stream:
        return self.put(0, 4).align()

    def to_bytes(self) -> bytes:
        return bytes(sum(b << i for i, b in enumerate(self.bits[at : at + 8])) for at in range(0, len(self.bits), 8))


def _with_abbreviation() -> _Stream:
    """BLOCKINFO that gives functions [2, variable 6, variable 6, fixed 4], which is abbreviation 4 there."""
    made = _Stream().enter(0, 2, 4).record(1, 12)
    made.put(2, 4).put(4, 5).put(1, 1).put(2, 8)
    made.put(0, 1).put(2, 3).put(6, 5).put(0, 1).put(2, 3).put(6, 5).put(0, 1).put(1, 3).put(4, 5)
    return made.leave()


def test_additions_are_found_by_their_bits() -> None:
    """Records in full and abbreviated ones; the bit makes of operation 0, an addition, operation 2, a multiplication."""
    made = _with_abbreviation().enter(12, 2, 4)
    made.record(2, 1, 5, 0)
    full = len(made.bits) - 6
    made.record(2, 1, 5, 1)  # a subtraction
    made.record(2, 1, 5, 0, 3)  # an addition of signed numbers
    made.record(20, 1, 5, 0)  # a load
    made.put(4, 4).put(7, 6).put(33, 6).put(1, 6).put(0, 4)  # 33 goes on in a second group
    short = len(made.bits) - 4
    binary = made.leave().to_bytes()
    assert list(addition_bits(binary)) == [full + 1, short + 1]
    for bit in addition_bits(binary):
        changed = bytearray(binary)
        changed[bit // 8] ^= 1 << bit % 8
        values = [
            [f.value for f in fields] for block, code, fields in records(bytes(changed)) if (block, code) == (12, 2)
        ]
        assert sorted(v[2] for v in values) == [0, 0, 1, 2]


def test_additions_elsewhere_do_not_count() -> None:
    """Other blocks use the same numbers for other records."""
    assert list(addition_bits(_Stream().enter(11, 2, 4).record(2, 1, 5, 0).leave().to_bytes())) == []


@pytest.mark.parametrize("binary", [b"", b"\x7fELF", _Stream().enter(12, 2, 4).record(2, 1, 5, 0).to_bytes()[:-4]])
def test_what_is_no_bitcode_is_refused(binary: bytes) -> None:
    """Another format, and a stream that ends in the middle."""
    with pytest.raises(ValueError, match="bitcode"):
        list(addition_bits(binary))
