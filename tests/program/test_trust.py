"""Whose files load: a file that another user could have placed must not pass."""

from __future__ import annotations

import mmap
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mace.errors import TrustError
from mace.program.content import ProgramContent
from mace.program.conversion import encode_as
from mace.program.files import write_program
from mace.program.keys import TrustStore, generate_keys
from mace.program.opening import open_trusted, save_own
from mace.program.signatures import sign_file
from mace.program.trust import Origin, Trust


def test_own_files_load(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """What mace wrote here loads, under any name and from any folder."""
    path = save_own(tmp_path / "file", content, trust).path
    assert open_trusted(path, trust).verdict.origin is Origin.OWN
    moved = path.rename(tmp_path / "moved")
    assert open_trusted(moved, trust).verdict.origin is Origin.OWN
    assert open_trusted(moved.read_bytes(), trust).verdict.origin is Origin.OWN


def test_files_from_elsewhere_do_not(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """A file that this user merely owns is refused by the name of the rule, and loads with the opt-in."""
    path = write_program(tmp_path / "file", content).path
    with pytest.raises(TrustError, match="not written by mace for this user on this machine"):
        open_trusted(path, trust)
    assert open_trusted(path, replace(trust, policy="any")).verdict.origin is Origin.OPTED_IN


def test_an_opt_in_is_for_one_call(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """Loading once with the opt-in does not make a file trusted."""
    path = write_program(tmp_path / "file", content).path
    open_trusted(path, replace(trust, policy="any"))
    with pytest.raises(TrustError):
        open_trusted(path, trust)


def test_a_signature_makes_up_for_it(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """A trusted key's signature lets a file from elsewhere in; under the policy signed, own files need one too."""
    pair = generate_keys(tmp_path / "key", passphrase=None, unprotected=True)
    assert trust.store is not None
    trust.store.trust(pair.public.read_bytes(), name="builder")
    path = write_program(tmp_path / "file", content).path
    sign_file(path, pair.private, trust=trust)
    verdict = open_trusted(path, trust).verdict
    assert (verdict.origin, verdict.signer) == (Origin.SIGNED, "builder")
    own = save_own(tmp_path / "own", content, trust).path
    with pytest.raises(TrustError, match="not signed"):
        open_trusted(own, replace(trust, policy="signed"))


def test_revoking_takes_effect_on_known_files(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """A file that was verified before is still judged anew at every start."""
    pair = generate_keys(tmp_path / "key", passphrase=None, unprotected=True)
    assert trust.store is not None
    trust.store.trust(pair.public.read_bytes(), name="builder")
    path = write_program(tmp_path / "file", content).path
    sign_file(path, pair.private, trust=trust)
    open_trusted(path, trust)
    trust.store.revoke("builder")
    with pytest.raises(TrustError, match="revoked"):
        open_trusted(path, trust)


def test_signing_keeps_a_file_own(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """An own file that this user signs is still own; one that another tool changed is not."""
    pair = generate_keys(tmp_path / "key", passphrase=None, unprotected=True)
    path = save_own(tmp_path / "file", content, trust).path
    sign_file(path, pair.private, trust=trust)
    assert open_trusted(path, trust).verdict.origin is Origin.OWN
    data = path.read_bytes()
    path.write_bytes(data[:0x60] + bytes([data[0x60] ^ 1]) + data[0x61:])
    with pytest.raises(TrustError):
        open_trusted(path, trust)


def test_a_state_folder_open_to_others_is_worth_nothing(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """Once others can write the stamps, no file counts as own."""
    path = save_own(tmp_path / "file", content, trust).path
    assert trust.stamps is not None
    trust.stamps.folder.chmod(0o777)
    with pytest.raises(TrustError):
        open_trusted(path, trust)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_user_s_stamps_and_files(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """A stamp folder of another user counts for nothing, and another user's file is never mapped."""
    from mace.files.mapping import open_file

    path = save_own(tmp_path / "file", content, trust).path
    assert open_file(path, max_bytes=1 << 20).stable
    os.chown(path, 12345, 12345)
    opened = open_file(path, max_bytes=1 << 20)
    assert not opened.stable
    assert isinstance(opened.data.obj, bytes)
    assert trust.stamps is not None
    os.chown(trust.stamps.folder, 12345, 12345)
    with pytest.raises(TrustError):
        open_trusted(path, trust)


def test_own_files_are_used_in_place(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """Payloads of a file that only this user can change are views of its mapping, through a hard or a soft link too."""
    path = save_own(tmp_path / "file", content, trust).path
    (tmp_path / "hard").hardlink_to(path)
    (tmp_path / "soft").symlink_to(path)
    for name in ("file", "hard", "soft"):
        for entry in open_trusted(tmp_path / name, trust).file.content.entries:
            assert isinstance(memoryview(entry.payload).obj, mmap.mmap)


def test_files_others_can_write_are_read_into_memory(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """A file that others may change is copied before it is verified, and verified at every start."""
    path = save_own(tmp_path / "file", content, trust, mode=0o666).path
    path.chmod(0o666)
    for _ in range(2):
        found = open_trusted(path, trust)
        assert not found.verified_before


def test_upstream_files_need_the_opt_in(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """Upstream's layouts cannot be signed, so they reach a driver only when the call says so."""
    for layout in ("upstream", "upstream-old"):
        data = encode_as(content, layout)
        with pytest.raises(TrustError):
            open_trusted(data, trust)
        assert open_trusted(data, replace(trust, policy="any")).file.content.entries


def test_a_refused_file_is_not_unfolded(tmp_path: Path, content: ProgramContent, trust: Trust) -> None:
    """Trust is judged before anything is decrypted or decompressed."""
    from mace.program.encrypt import Secret

    path = write_program(tmp_path / "file", content, secret=Secret.raw(bytes(32))).path
    with pytest.raises(TrustError):
        open_trusted(path, Trust("own", trust.stamps, TrustStore(tmp_path / "none")), secret=None)
