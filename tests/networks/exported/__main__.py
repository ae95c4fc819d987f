"""Export networks of PyTorch and transformers and compare them with ONNX Runtime.

usage: python -m tests.networks.exported [NAME …] [--exporter legacy] [--device SPEC] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.networks.exported import NETWORKS, make
from tests.networks.exported.network import EXPORTERS, LIMIT, compare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--exporter", choices=EXPORTERS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--keep", type=Path, help="leave the exported files here")
    options = parser.parse_args()
    failed = 0
    for name in options.names or NETWORKS:
        for exporter in EXPORTERS:
            if options.exporter not in (None, exporter):
                continue
            with tempfile.TemporaryDirectory() as temporary:
                folder = options.keep / name if options.keep else Path(temporary)
                folder.mkdir(parents=True, exist_ok=True)
                began = time.perf_counter()
                try:
                    network = make(name)
                    if exporter not in network.exporters:
                        continue
                    found = compare(network, exporter, folder, options.device)
                except Exception:
                    failed += 1
                    traceback.print_exc()
                    print(f"FAILED {name} {exporter}", flush=True)
                    continue
                failed += found.worst > LIMIT
                verdict = "ok" if found.worst <= LIMIT else f"WRONG {found.errors}"
                seconds = time.perf_counter() - began
                host = f", floats on the host: {', '.join(found.host_float)}" if found.host_float else ""
                print(
                    f"{name} {exporter}: {verdict}, {found.worst:.1e} of the range, {seconds:.0f} s{host}", flush=True
                )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
