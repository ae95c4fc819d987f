"""Every file under ``vectors`` has the outcome that ``expected.json`` gives; ``make_vectors.py`` wrote them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mace import errors
from mace.errors import ProgramFileError
from mace.program.codec import decode_program, recognise
from mace.program.encrypt import Secret
from mace.program.envelope import parse_header
from mace.program.signing import is_signed_by, load_public

FOLDER = Path(__file__).parent / "vectors"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that makes the vectors."""
    spec = importlib.util.spec_from_file_location("make_vectors", Path(__file__).parent / "make_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_vectors"] = module
    spec.loader.exec_module(module)
    return module


def secret(name: str, maker: ModuleType) -> Secret | None:
    if "passphrase" in name:
        return Secret.passphrase(maker.PASSPHRASE)
    return Secret.raw(maker.KEY) if name == "envelope-key" else None


@pytest.mark.parametrize("name", EXPECTED)
def test_outcome(name: str, maker: ModuleType) -> None:
    """A valid vector gives its layout and entries, a hostile one the error it should."""
    data, wanted = (FOLDER / f"{name}.bin").read_bytes(), EXPECTED[name]
    if "error" in wanted:
        with pytest.raises(ProgramFileError) as caught:
            decode_program(data, secret=secret(name, maker))
        assert type(caught.value) is getattr(errors, wanted["error"])
        return
    file = decode_program(data, secret=secret(name, maker))
    assert file.layout == wanted["layout"] == recognise(data)
    if name.startswith("envelope-") and name != "envelope-empty":
        assert file.content == maker.content()


def test_no_file_is_forgotten() -> None:
    """Every vector is listed."""
    assert {p.stem for p in FOLDER.glob("*.bin")} == set(EXPECTED)


@pytest.mark.parametrize("name", ["envelope", "envelope-empty", "table", "upstream", "upstream-tuned", "upstream-old"])
def test_written_bytes_stay_the_same(
    name: str, maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today's writer gives the stored bytes: the layout does not change by accident."""
    monkeypatch.setattr(maker, "FOLDER", tmp_path)
    assert maker.valid()[name][0] == (FOLDER / f"{name}.bin").read_bytes()


def test_stored_signature_holds() -> None:
    """The signed vector is signed by the stored key."""
    header = parse_header((FOLDER / "envelope-signed.bin").read_bytes())
    assert is_signed_by(header, load_public((FOLDER / "signer.pub").read_bytes()))
