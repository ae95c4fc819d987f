from __future__ import annotations

import pytest

from mace.program.obfuscate import coded_key, known_name, likely_name, obfuscate, plain_key, plain_name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("conv_2d_1x1", "c44CimyloKq"),
        ("arg_buffer_to_image", "a7xhuD011EoIErAF5BA"),
        ("depthwise_conv2d_ocl_kernel_128_4_14_1", "du6A0F3D1n1DDMv7uJ9IyJESPHP58_G9EADHDG"),
    ],
)
def test_genuine_codes(name: str, code: str) -> None:
    """Names out of genuine files are coded and read as they are there."""
    assert obfuscate(name) == code
    assert likely_name(code) == name


def test_the_slip_makes_letters_share_codes() -> None:
    """An upper-case letter has the code of a digit or lower-case letter: only a dictionary can tell."""
    assert obfuscate("xA") == obfuscate("x4")
    assert likely_name(obfuscate("xA")) == "x4"
    assert plain_name(obfuscate("xA"), ["xA"]) == "xA"
    assert known_name(obfuscate("xA"), ["xA", "x4"]) is None


def test_queue_window_key_stays() -> None:
    """The one plain key is neither coded nor read."""
    assert coded_key("MACE_OPENCL_QUEUE_WINDOW_SIZE") == "MACE_OPENCL_QUEUE_WINDOW_SIZE"
    assert plain_key("MACE_OPENCL_QUEUE_WINDOW_SIZE") == "MACE_OPENCL_QUEUE_WINDOW_SIZE"


def test_other_characters_stay() -> None:
    """What the table does not have is left alone."""
    assert obfuscate("a-b c") == "a-" + obfuscate("aab")[2] + " " + obfuscate("aaaac")[4]
