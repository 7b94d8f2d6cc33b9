"""Adds the recipes of configs/ to the wheel as adora_mm/recipes; all the rest is in pyproject.toml.

A table in pyproject.toml could map the folder to a package only together with a list of every other
package. An editable install needs no copy: there recipes are read from configs/ itself.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RECIPES = sorted(Path("configs").glob("*.yaml"))


class BuildWithRecipes(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for recipe, target in zip(RECIPES, self._recipe_targets(), strict=True):
            self.mkpath(str(target.parent))
            self.copy_file(str(recipe), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        targets = [] if self.editable_mode else [str(path) for path in self._recipe_targets()]
        return [*super().get_outputs(include_bytecode), *targets]

    def _recipe_targets(self) -> list[Path]:
        return [Path(self.build_lib, "adora_mm", "recipes", recipe.name) for recipe in RECIPES]


setup(cmdclass={"build_py": BuildWithRecipes})
