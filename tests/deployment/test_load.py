"""Deployment files as MACE's users write them: what is right is read, what is wrong is named with line and key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from mace.deployment import load_deployment
from mace.deployment.checksum import check_sum
from mace.deployment.settings import RunSettings
from mace.engine.deployed import engine_arguments
from mace.errors import ConfigError
from mace.tensor import DType, TensorType

GOOD = """\
library_name: vision
target_abis: [armeabi-v7a, arm64-v8a]
model_graph_format: file
models:
  classifier:
    platform: onnx
    model_file_path: models/classifier.onnx
    model_sha256_checksum: 71b10f540ece33c49a7b51f5d4095fc9bd78ce46ebf0300487b2ee23d71294e6
    subgraphs:
      - input_tensors:
          - image
        input_shapes:
          - 1,224,224,3
        input_ranges:
          - -1.0,1.0
        output_tensors:
          - '0'
        output_shapes:
          - 1,1001
        validation_inputs_data:
          - dog.npy
        validation_threshold: {GPU: 0.995, CPU: {fp32: 0.999, fp16: {snr_db: 30}}, HEXAGON: 0.93}
    runtime: cpu+gpu
    data_type: fp16_fp32
    limit_opencl_kernel_time: 0
    opencl_queue_window_size: 8
    nnlib_graph_mode: 0
    obfuscate: 1
    winograd: 4
"""


def test_a_published_form_is_read(write: Callable[[str], Path]) -> None:
    """Every field of a deployment file in MACE's own form comes out as data."""
    path = write(GOOD)
    deployment = load_deployment(path)
    model = deployment.model()
    assert (deployment.library_name, model.name, model.runtime) == ("vision", "classifier", "cpu+gpu")
    assert model.settings == RunSettings(storage="fp16", winograd=4, queue_window=8, limit_kernel_time=False)
    assert model.source == path.parent / "models" / "classifier.onnx"
    assert model.mace_file == path.parent / "classifier.mace"
    (part,) = model.subgraphs
    assert part.inputs[0].shape == (1, 224, 224, 3)
    assert part.inputs[0].range == (-1.0, 1.0)
    assert part.outputs[0].name == "0"
    assert part.validation_inputs == (str(path.parent / "dog.npy"),)
    assert part.thresholds_for("gpu", "fp32") == {"cosine": 0.995}
    assert part.thresholds_for("cpu", "fp16") == {"snr_db": 30.0}


def test_what_has_no_effect_is_said(write: Callable[[str], Path]) -> None:
    """Keys that do not apply here are noted with their line, those of value 0 are not; none is a mistake."""
    notes = {n.key.rpartition(".")[2]: n.line for n in load_deployment(write(GOOD)).notes}
    assert set(notes) == {"target_abis", "HEXAGON", "obfuscate"}
    assert notes["obfuscate"] == 28


def test_settings_of_the_engine(write: Callable[[str], Path]) -> None:
    """Keys about the run become settings; where they are missing the usual holds, and half-precision sums are denied."""
    bare = "".join(
        line + "\n"
        for line in GOOD.splitlines()
        if not any(k in line for k in ("data_type", "limit_", "window_size", "winograd"))
    )
    assert load_deployment(write(bare)).model().settings == RunSettings()
    text = (
        GOOD.replace("fp16_fp32", "fp16_fp16")
        .replace("kernel_time: 0", "kernel_time: 1")
        .replace("winograd: 4", "winograd: 0")
    )
    deployment = load_deployment(write(text))
    settings = deployment.model().settings
    assert settings == RunSettings(storage="fp16", winograd=0, queue_window=8, limit_kernel_time=True)
    assert [n.key.rpartition(".")[2] for n in deployment.notes if "float32" in n.text] == ["data_type"]
    assert len(settings.words()) == 4
    assert RunSettings().words() == []
    assert RunSettings.from_json(asdict(settings)) == settings
    arguments = engine_arguments(settings)
    assert (arguments["options"].storage, arguments["options"].winograd) == ("fp16", 0)
    assert (arguments["queue_window"], arguments["limit_kernel_time"]) == (8, True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("platform: onnx", "platform: onx", "line 6: models.classifier.platform: 'onx' is none of onnx"),
        ("    winograd: 4", "    winograd: 3", "line 29: models.classifier.winograd: 3 is none of 0, 2, 4"),
        ("1,224,224,3", "1x224", "line 13: models.classifier.subgraphs[0].input_shapes[0]: '1x224' is no shape"),
        ("-1.0,1.0", "1.0,-1.0", "line 15: models.classifier.subgraphs[0].input_ranges[0]: the range 1,-1 is upside"),
        ("model_file_path:", "model_file_pth:", "did you mean 'model_file_path'?"),
        ("    runtime: cpu+gpu", "    runtime: tpu", "line 23: models.classifier.runtime: 'tpu' is none of"),
        (
            "GPU: 0.995",
            "GPU: 1.995",
            "line 22: models.classifier.subgraphs[0].validation_threshold.GPU: 1.995 is over 1",
        ),
        ("71b10f", "71b1", "line 8: models.classifier.model_sha256_checksum"),
        ("        output_tensors:\n          - '0'\n", "", "subgraphs[0].output_tensors: is missing"),
        ("  classifier:", "  a/b:", "line 5: models.a/b: 'a/b' cannot name a file"),
        ("          - image", "          - image\n          - image", "'image' comes twice"),
        (
            "library_name: vision",
            "library_name: vision\nlibrary_name: twice",
            "line 2: the key 'library_name' comes twice",
        ),
        (
            "limit_opencl_kernel_time: 0",
            "limit_opencl_kernel_time: 5",
            "line 25: models.classifier.limit_opencl_kernel_time",
        ),
        (
            "window_size: 8",
            "window_size: -8",
            "line 26: models.classifier.opencl_queue_window_size: '-8' is no whole number",
        ),
        (
            "window_size: 8",
            "window_size: 999999999",
            "line 26: models.classifier.opencl_queue_window_size: 999999999 is over",
        ),
        ("fp16_fp32", "fp16", "line 24: models.classifier.data_type: 'fp16' is none of fp32_fp32, fp16_fp32"),
        ("obfuscate: 1", "obfuscate: [1", "line"),
    ],
)
def test_mistakes_name_line_and_key(write: Callable[[str], Path], old: str, new: str, said: str) -> None:
    """Each mistake is named with its line and key, and what would be right."""
    assert old in GOOD
    with pytest.raises(ConfigError) as raised:
        load_deployment(write(GOOD.replace(old, new)))
    assert said in str(raised.value)
    assert "models.yml" in str(raised.value)


def test_all_mistakes_at_once(write: Callable[[str], Path]) -> None:
    """A file with several mistakes lists them all, in the order of their lines."""
    text = GOOD.replace("platform: onnx", "platform: x").replace("winograd: 4", "winograd: 9")
    with pytest.raises(ConfigError, match=r"2 problems:\n  line 6: .*\n  line 29: "):
        load_deployment(write(text))


@pytest.mark.parametrize(
    "text", ["", "[]", "models: {}", "models: 3", "a: &x [*x]", "\x00", "models: {x: &a {platform: *a}}"]
)
def test_files_that_are_none(write: Callable[[str], Path], text: str) -> None:
    """Empty, foreign and self-referring files are refused, never crash and never hang."""
    with pytest.raises(ConfigError):
        load_deployment(write(text))


def test_aliases_cannot_blow_up(write: Callable[[str], Path]) -> None:
    """A file whose aliases repeat each other is given up, not unfolded."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="more than a deployment file"):
        load_deployment(write("\n".join(lines)))


def test_addresses_are_not_fetched(write: Callable[[str], Path]) -> None:
    """A model at an address parses, and asking for it says how to get it."""
    text = GOOD.replace("models/classifier.onnx", "https://example.com/classifier.onnx")
    with pytest.raises(ConfigError, match=r"curl -O https://example\.com/classifier\.onnx"):
        load_deployment(write(text)).model().source  # noqa: B018


def test_several_models(write: Callable[[str], Path]) -> None:
    """One of several is chosen by name; without one the names are listed."""
    second = GOOD.partition("models:\n")[2].replace("classifier:", "other:").replace("runtime: cpu+gpu", "runtime: DSP")
    deployment = load_deployment(write(GOOD + second))
    assert deployment.model("other").device == "auto"
    with pytest.raises(ConfigError, match="classifier, other"):
        deployment.model()
    with pytest.raises(ConfigError, match="no model 'third'"):
        deployment.model("third")


def test_shapes_are_turned_to_the_models_order(write: Callable[[str], Path]) -> None:
    """MACE counts images as NHWC; an ONNX model that wants NCHW gets the same image's shape in its own order."""
    (spec,) = load_deployment(write(GOOD)).model().inputs
    nchw, nhwc = TensorType(DType.FLOAT32, (1, 3, 224, 224)), TensorType(DType.FLOAT32, ("n", 224, 224, 3))
    assert spec.shape_for(nchw) == (1, 3, 224, 224)
    assert spec.shape_for(nhwc) == (1, 224, 224, 3)
    assert spec.axes_for(nchw, (1, 224, 224, 3)) == (0, 3, 1, 2)
    assert spec.axes_for(nhwc, (1, 224, 224, 3)) is None


def test_the_checksum_must_hold(write: Callable[[str], Path]) -> None:
    """A source model of another hash, or none, is named with both hashes."""
    path = write(GOOD)
    model = load_deployment(path).model()
    with pytest.raises(ConfigError, match="cannot be read"):
        check_sum(model)
    model.source.parent.mkdir()
    model.source.write_bytes(b"a model")
    digest = hashlib.sha256(b"a model").hexdigest()
    with pytest.raises(ConfigError, match=digest):
        check_sum(model)
    check_sum(load_deployment(write(GOOD.replace(model.sha256, digest))).model())
