"""Measuring: how right a model is beside its source, and how fast it is on a device. Results are plain records."""
