"""Makes a CUDA build of torchvision import beside a CPU build of torch, for the tests.

Where no CPU wheel of torchvision can be had, the CUDA one fails at import: its compiled operators
do not load, and a later line describes operators that then do not exist. vLLM needs its transforms
only, which are Python. Declaring the operators' signatures first is enough; calling them fails.

Run as a script, this writes itself into the environment and checks that torchvision imports.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

OPERATORS = ("nms", "qnms")


class DeclareFirst(MetaPathFinder):
    """Steps in at the first import of torchvision, once."""

    library: Any = None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        import torch

        if torch.version.cuda is None:
            DeclareFirst.library = torch.library.Library("torchvision", "FRAGMENT")
            for operator in OPERATORS:
                DeclareFirst.library.define(
                    f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
        return PathFinder.find_spec(name, path, target)


def install() -> int:
    """Have every Python of this environment import this file at its start."""
    folder = Path(sysconfig.get_path("purelib"))
    shutil.copy(__file__, folder / "torchvision_shim.py")
    (folder / "torchvision_shim.pth").write_text("import torchvision_shim\n")
    return subprocess.run([sys.executable, "-c", "import torchvision"]).returncode


if __name__ == "__main__":
    sys.exit(install())
else:
    sys.meta_path.insert(0, DeclareFirst())
