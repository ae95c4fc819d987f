"""A matrix product as numbers: extents, strides, batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from mace.ops.lowering import Define


@dataclass(frozen=True, slots=True)
class Product:
    """A batched product of A (batch × M × K) and B (batch × K × N), strides in elements.

    A batch stride of 0 broadcasts.
    """

    m: int
    n: int
    k: int
    batch: tuple[int, ...]
    a_batch: tuple[int, ...]
    b_batch: tuple[int, ...]
    a_m: int
    a_k: int
    b_k: int
    b_n: int

    @classmethod
    def of_matmul(cls, a: tuple[int, ...], b: tuple[int, ...]) -> Product:
        """numpy.matmul semantics: a vector gets a dimension of 1, leading dimensions broadcast."""
        a2 = (1, *a) if len(a) == 1 else a
        b2 = (*b, 1) if len(b) == 1 else b
        (m, k), n = a2[-2:], b2[-1]
        rank = max(len(a2), len(b2)) - 2
        a_dims = (1,) * (rank - len(a2) + 2) + a2[:-2]
        b_dims = (1,) * (rank - len(b2) + 2) + b2[:-2]
        batch = tuple(max(p, q) if 0 not in (p, q) else 0 for p, q in zip(a_dims, b_dims, strict=True))
        return cls(m, n, k, batch, _strides(a_dims, m * k), _strides(b_dims, k * n), k, 1, n, 1)

    @classmethod
    def of_gemm(cls, a: tuple[int, ...], b: tuple[int, ...], trans_a: bool, trans_b: bool) -> Product:
        m, k = (a[1], a[0]) if trans_a else a
        n = b[0] if trans_b else b[1]
        return cls(m, n, k, (), (), (), *((1, m) if trans_a else (k, 1)), *((1, k) if trans_b else (n, 1)))

    @property
    def batches(self) -> int:
        return prod(self.batch)

    @property
    def flops(self) -> int:
        return 2 * self.batches * self.m * self.n * self.k

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to sum or nothing to store."""
        return 0 in (self.m, self.n, self.k, self.batches)

    def folded(self) -> Product:
        """All batches as rows of one matrix where A is contiguous and B is the same for every batch; else unchanged."""
        contiguous = _strides(self.batch, self.m * self.k)
        if any(self.b_batch) or self.a_batch != contiguous or (self.a_m, self.a_k) != (self.k, 1):
            return self
        return replace(self, m=self.m * self.batches, batch=(), a_batch=(), b_batch=())

    def defines(self) -> dict[str, Define]:
        """Macros M, N, K, the strides, and A_BATCH(b), B_BATCH(b): offset of a batch by its number."""
        return {
            "M": self.m,
            "N": self.n,
            "K": self.k,
            "A_M": self.a_m,
            "A_K": self.a_k,
            "B_K": self.b_k,
            "B_N": self.b_n,
            "A_BATCH(b)": batch_offset(self.batch, self.a_batch),
            "B_BATCH(b)": batch_offset(self.batch, self.b_batch),
        }


def _strides(dims: tuple[int, ...], matrix: int) -> tuple[int, ...]:
    """Strides of batch dimensions whose matrices hold ``matrix`` elements; 0 where the extent is 1."""
    strides, step = [], matrix
    for d in reversed(dims):
        strides.append(0 if d == 1 else step)
        step *= d
    return tuple(reversed(strides))


def batch_offset(batch: tuple[int, ...], strides: tuple[int, ...]) -> str:
    """OpenCL C expression for the offset of batch ``(b)``; neighbouring dimensions that lie evenly are joined."""
    joined: list[tuple[int, int]] = []
    for d, s in zip(batch, strides, strict=True):
        if d == 1:
            continue
        if joined and joined[-1][1] == s * d:
            joined[-1] = (joined[-1][0] * d, s)
        else:
            joined.append((d, s))
    terms, inner = [], 1
    for i, (d, s) in enumerate(reversed(joined)):
        index = f"(b) / {inner}" if inner > 1 else "(b)"
        if i < len(joined) - 1:
            index = f"{index} % {d}"
        if s:
            terms.append(f"({index}) * {s}")
        inner *= d
    return "(" + (" + ".join(terms) or "0") + ")"


def bias_strides(dims: tuple[int, ...]) -> dict[str, Define]:
    """Strides of a bias that broadcasts to M × N."""
    m, n = ((1, 1) + dims)[-2:]
    return {"BIAS_M": n if m > 1 else 0, "BIAS_N": 1 if n > 1 else 0}
