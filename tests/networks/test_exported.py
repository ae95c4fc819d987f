"""Networks as PyTorch's exporters write them, against ONNX Runtime at several sizes. Skipped where torch is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.networks.exported import NETWORKS, make

QUICK = ("lstm_tagger", "speech_detector")
"""Exported in a few seconds."""


@pytest.fixture(autouse=True)
def _frameworks() -> None:
    for package in ("torch", "transformers", "onnxscript"):
        pytest.importorskip(package)


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS])
@pytest.mark.parametrize("exporter", ["legacy", pytest.param("dynamo", marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_exported_network_agrees(name: str, exporter: str, tmp_path: Path) -> None:
    """Every output, for every size that the export leaves open, is ONNX Runtime's within 2e-5 of its range."""
    from tests.networks.exported.network import LIMIT, compare

    network = make(name)
    if exporter not in network.exporters:
        pytest.skip(f"the {exporter} exporter cannot write this network")
    found = compare(network, exporter, tmp_path)
    assert found.worst <= LIMIT, found.errors
