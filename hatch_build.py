"""What the build adds to a wheel: the digest of the sources that make plans (``src/mace/plan/recipe.py``)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path(__file__).parent / "src" / "mace"


class RecipeHook(BuildHookInterface[Any]):
    """Writes the digest beside the planner, in wheels that are not editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        spec = importlib.util.spec_from_file_location("recipe", PACKAGE / "plan" / "recipe.py")
        if spec is None or spec.loader is None:
            raise RuntimeError("src/mace/plan/recipe.py cannot be loaded")
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
        text = Path(self.directory) / "recipe.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(recipe.digest_of(str(PACKAGE)) + "\n", encoding="ascii")
        build_data["force_include"][str(text)] = f"mace/{recipe.RECORDED}"
