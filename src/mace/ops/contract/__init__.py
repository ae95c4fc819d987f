"""Contractions: convolutions and matrix products, each with a tail fused into the store."""

from mace.ops.contract.attention import ATTENTION
from mace.ops.contract.conv import CONV
from mace.ops.contract.conv_bottleneck import BOTTLENECK_CONV
from mace.ops.contract.conv_separable import SEPARABLE_CONV
from mace.ops.contract.conv_transpose import CONV_TRANSPOSE
from mace.ops.contract.matmul import GEMM, MATMUL
from mace.ops.contract.quantised import QUANTISED

OPERATORS = (CONV, SEPARABLE_CONV, BOTTLENECK_CONV, CONV_TRANSPOSE, MATMUL, GEMM, ATTENTION, *QUANTISED)
