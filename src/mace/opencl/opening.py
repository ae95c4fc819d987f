"""Opening a device in the background, while this thread imports and reads what else a start needs.

Loading a driver and making a context take as long as all the rest of a warm start, and are spent outside Python.

Intel's CPU runtime takes the thread that makes a context for the one that will run kernels: it moves it to the first core
and binds threads of its own to the others. Whoever runs elsewhere shares a core with one of those, and the first runs take
twice as long on two cores, until the system moves one of them. So there the context is made by who asks for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import mace.files.mapping  # noqa: F401 - loads libraries, for which it would have to wait while a driver is being loaded
from mace.opencl.device import Device
from mace.opencl.loader import load_library

if TYPE_CHECKING:
    from mace.opencl.context import Context


class Opening:
    """A device that is being opened, or has been. :meth:`context` waits for it."""

    def __init__(self, device: Device, context: Context | None = None, **wishes: Any) -> None:
        """Begin to open the device, with the wishes of ``Context``; with ``context`` it is open already."""
        self.device = device
        self._wishes = wishes
        self._context = context
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        if context is None:
            # Python waits for it at its end: a driver that is being loaded while the process is taken down crashes it
            self._thread = threading.Thread(target=self._open, name="mace-open")
            self._thread.start()

    def context(self) -> Context:
        """The opened device. Raises ``NoDeviceError`` when it is gone, ``OpenCLError`` when it cannot be opened."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error
        if self._context is None:
            self._context = self._make_context()
        return self._context

    def _open(self) -> None:
        try:
            load_library(self.device.driver.library)
            self.device.handle  # noqa: B018  (the driver looks for its devices)
            if self.device.traits.family != "intel-cpu":
                self._context = self._make_context()
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            self._error = error

    def _make_context(self) -> Context:
        from mace.opencl.context import Context

        return Context(self.device, **self._wishes)


def begin_opening(spec: str | int | Device, **wishes: Any) -> Opening:
    """Choose a device as ``select_device`` does, and begin to open it. Raises ``NoDeviceError`` when none fits."""
    if isinstance(spec, Device):
        return Opening(spec, **wishes)
    from mace.opencl.discovery import choose_device, find_devices

    return Opening(choose_device(spec, find_devices()), **wishes)
