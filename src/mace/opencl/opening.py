"""Opening a device in the background, while this thread imports and reads what else a start needs.

Loading a driver and making a context take as long as all the rest of a warm start, and are spent outside Python.

Intel's CPU runtime takes the thread that makes a context for the one that will run kernels: it moves it to the first core
and binds threads of its own to the others. Whoever runs elsewhere shares a core with one of those, and the first runs take
twice as long on two cores, until the system moves one of them. So there the context is made by who asks for it, and only the
library is loaded in the background.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from mace.opencl.preload import Preloading, note_opened, preload_likely

if TYPE_CHECKING:
    from mace.opencl.context import Context
    from mace.opencl.device import Device


class Opening:
    """A device that is being opened, or has been. :meth:`context` waits for it."""

    def __init__(
        self,
        device: Device,
        context: Context | None = None,
        *,
        preloading: Preloading | None = None,
        note_as: str | int | None = None,
        **wishes: Any,
    ) -> None:
        """Begin to open the device, with the wishes of ``Context``. With ``context`` it is open already, with ``preloading``
        its library is being loaded; ``note_as`` is what its driver is likely wished for as the next time."""
        self.device = device
        self._wishes = wishes
        self._context = context
        self._note_as = note_as
        self._error: BaseException | None = None
        self._preloading = preloading
        self._thread: threading.Thread | None = None
        if context is None:
            if not is_made_by_its_user(device):
                self._thread = threading.Thread(target=self._open, name="mace-open")
                self._thread.start()
            elif preloading is None:
                self._preloading = Preloading(device.driver.library)

    def context(self) -> Context:
        """The opened device. Raises ``NoDeviceError`` when it is gone, ``OpenCLError`` when it cannot be opened."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._preloading is not None:
            self._preloading.wait()
            self._preloading = None
        if self._error is not None:
            raise self._error
        if self._context is None:
            self._context = self._make_context()
            if self._note_as is not None:
                note_opened(self._note_as, self.device.driver)
        return self._context

    def _open(self) -> None:
        try:
            from mace.opencl.loader import load_library

            load_library(self.device.driver.library)
            self._context = self._make_context()
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            self._error = error

    def _make_context(self) -> Context:
        from mace.opencl.context import Context

        return Context(self.device, **self._wishes)


def begin_opening(spec: str | int | Device, **wishes: Any) -> Opening:
    """Choose a device as ``select_device`` does, and begin to open it. Raises ``NoDeviceError`` when none fits."""
    if not isinstance(spec, str | int):
        return Opening(spec, **wishes)
    preloading = preload_likely(spec)
    from mace.opencl.discovery import choose_device, find_devices

    device = choose_device(spec, find_devices())
    if not is_made_by_its_user(device):
        return Opening(device, **wishes)
    if preloading is not None and preloading.library == device.driver.library:
        return Opening(device, preloading=preloading, **wishes)
    return Opening(device, note_as=spec, **wishes)


def is_made_by_its_user(device: Device) -> bool:
    """Whether the thread that runs kernels is to make the context."""
    return device.traits.family == "intel-cpu"
