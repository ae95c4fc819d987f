"""Recurrent networks: LSTM, GRU, RNN."""

from __future__ import annotations

from mace.ops.recurrent.cell import OPERATORS

__all__ = ["OPERATORS"]
