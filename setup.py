"""What pyproject.toml cannot say: the wheel brings flows/, migrations/, docs/ and the demo's metadata with it.

They are folders of the checkout, not of the package; the wheel has a copy under dataplatform/_bundled, where
dataplatform.project finds it. An editable install copies nothing.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
BUNDLED = "dataplatform/_bundled"
FILES = [
    "flows/*.py",
    "migrations/*.py", "migrations/*.mako", "migrations/versions/*.py",
    "docs/**/*.md",  # Help, in the web pages
    "metadata/gallery/*.yaml",  # sources to take
    # of metadata/, which is a person's own, no more than the demo needs
    "metadata/sources/nycflights.yaml", "metadata/gold/busiest_routes.sql",
    "metadata/gold/delays_by_carrier.sql", "metadata/gold/weather_effect.sql",
]  # fmt: skip


class WithBundled(build_py):
    """Copies the files into the wheel that is being built."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for path in bundled():
                target = Path(self.build_lib) / BUNDLED / path
                self.mkpath(str(target.parent))
                self.copy_file(str(ROOT / path), str(target), preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        own = [str(Path(self.build_lib) / BUNDLED / path) for path in bundled()]
        return super().get_outputs(include_bytecode) + ([] if self.editable_mode else own)


def bundled() -> list[Path]:
    return sorted(path.relative_to(ROOT) for pattern in FILES for path in ROOT.glob(pattern))


setup(cmdclass={"build_py": WithBundled})
