"""Keys of MACE's deployment files that have no effect here, each with the reason that is given to the user."""

from __future__ import annotations

_HEXAGON = "speaks of Hexagon DSPs, which mace does not drive"
_MICRO = "speaks of MACE Micro, for microcontrollers without OpenCL"

TOP: dict[str, str] = {
    "target_abis": "kernels are compiled by the device's own driver, so there is no ABI to choose",
    "target_socs": "kernels are compiled by the device's own driver, so there is no SoC to choose",
    "embed_model_data": "the model and its weights are one .mace file",
    "model_graph_format": "the model is written as one .mace file, never as code",
    "model_data_format": "weights lie in the .mace file, never in code",
    "build_type": "the model is written as one .mace file, never as code",
    "linkshared": "nothing is linked",
    "hexagon_mode": _HEXAGON,
    "micro": _MICRO,
}
"""Keys beside ``models``."""

MODEL: dict[str, str] = {
    "nnlib_graph_mode": _HEXAGON,
    "dsp_mode": _HEXAGON,
    "obfuscate": "names in a .mace file are not obfuscated; encrypt the program file to keep kernels from readers",
    "quantize": "a model is run with the element types it has; quantise the ONNX model instead",
    "quantize_schema": "a model is run with the element types it has; quantise the ONNX model instead",
    "quantize_large_weights": "a model is run with the element types it has; quantise the ONNX model instead",
    "quantize_range_file": "a model is run with the element types it has; quantise the ONNX model instead",
    "change_concat_ranges": "a model is run with the element types it has; quantise the ONNX model instead",
    "weight_file_path": "only Caffe keeps weights in a file of their own",
    "weight_sha256_checksum": "only Caffe keeps weights in a file of their own",
    "docker_image_tag": "nothing is run in a container",
    "dockerfile_path": "nothing is run in a container",
    "dockerfile_sha256_checksum": "nothing is run in a container",
    "docker_file_path": "nothing is run in a container",
    "transformer": "the passes over a graph are chosen by mace",
    "gpu_buffer_type": "tensors lie in buffers; where images pay is for the planner to say",
    "order": "several subgraphs run as one model",
    "backend": "the source model is run by onnxruntime",
    "micro": _MICRO,
}
"""Keys of one model. A value of 0 asks for nothing and is not mentioned."""

SUBGRAPH: dict[str, str] = {
    "backend": "the source model is run by onnxruntime",
    "check_tensors": "`mace validate --layers` compares every layer that survives conversion",
    "check_shapes": "`mace validate --layers` compares every layer that survives conversion",
    "order": "several subgraphs run as one model",
    "runtime": "all subgraphs run on the model's device",
}
"""Keys of one subgraph."""

RUNTIMES: dict[str, str] = {
    "dsp": _HEXAGON,
    "hexagon": _HEXAGON,
    "hta": "speaks of Qualcomm's tensor accelerator, which mace does not drive",
    "htp": "speaks of Qualcomm's tensor processor, which mace does not drive",
    "apu": "speaks of MediaTek's APU, which mace does not drive",
}
"""Runtimes without OpenCL; the model runs on the best OpenCL device instead."""
