"""The shape of the code: import order, who may import what, sizes, docs that name everything."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from dataplatform import project
from dataplatform.access import tables as _access  # noqa: F401  # the tables of all parts are in one metadata
from dataplatform.audit.tables import HEAD, metadata
from dataplatform.events import tables as _events  # noqa: F401
from dataplatform.layers.gold import tables as _gold  # noqa: F401
from dataplatform.layers.silver import tables as _silver  # noqa: F401
from dataplatform.quality import results as _results  # noqa: F401
from dataplatform.triggers import tables as _triggers  # noqa: F401

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "platform" / "dataplatform"

LEVELS = [
    {"errors", "names", "processes", "project", "settings"},
    {"metadata", "records"},
    {"access", "audit", "events", "secrets", "storage", "embedded"},
    {"layers.raw", "layers.bronze", "layers.silver", "layers.gold", "connectors", "quality"},
    {"context"},
    {"requesting", "stamp"},
    {"pipeline"},
    {"auto_dw", "drafting", "runs", "reading", "upkeep"},
    {"orchestration", "triggers"},
    {"bootstrap"},
    {"cli", "web"},
]
# layers never import one another; raw stores the connectors' pages, gold tries its checks
ALLOWED_SIDEWAYS = {("layers.raw", "connectors"), ("layers.gold", "quality")}


def part(module: str) -> str:
    """`dataplatform.layers.silver.plan` → `layers.silver`."""
    names = module.split(".")[1:]
    if names and names[0] == "layers" and len(names) > 1:
        return ".".join(names[:2])
    return names[0] if names else ""


def level(name: str) -> int:
    return next(i for i, names in enumerate(LEVELS) if name in names)


@cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_imports_point_downwards() -> None:
    wrong = []
    for path in modules():
        own = part(module_name(path))
        if own in ("", "layers"):
            continue
        for name in imports(path):
            other = part(name) if name.startswith("dataplatform.") else ""
            if other in ("", "layers", "__version__") or other == own:
                continue
            layers = level(other) == level(own) == level("connectors")
            sideways = layers and (own, other) not in ALLOWED_SIDEWAYS
            if level(other) > level(own) or sideways:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


# auto_dw's wings, each of which imports only those before it; what lies beside them imports no wing
WINGS = ["names", "look", "judge", "said", "styles", "build", "experiments"]


def wing(module: str) -> str:
    """`dataplatform.auto_dw.look.kept` → `look`; empty where it is of no wing."""
    names = module.split(".")
    return (
        names[2] if names[:2] == ["dataplatform", "auto_dw"] and len(names) > 2 and names[2] in WINGS else ""
    )


def test_imports_between_the_wings_of_auto_dw_point_one_way() -> None:
    wrong = []
    for path in sorted((PACKAGE / "auto_dw").rglob("*.py")):
        own = wing(module_name(path))
        allowed = {"", *WINGS[: WINGS.index(own) + 1]} if own else {""}
        wrong += [f"{path.relative_to(ROOT)} imports {n}" for n in imports(path) if wing(n) not in allowed]
    assert not wrong


def test_a_wing_says_what_it_owns_and_who_may_call_it() -> None:
    there = {p.parent.name for p in (PACKAGE / "auto_dw").glob("*/__init__.py")}
    assert there == set(WINGS)
    for name in WINGS:
        text = ast.get_docstring(ast.parse((PACKAGE / "auto_dw" / name / "__init__.py").read_text())) or ""
        assert re.search(r"In comes? .*\bout go(es)? .*\bcalls?\b", text, re.DOTALL), name


def test_auto_dw_reads_the_metadata_of_others_in_one_place() -> None:
    """It works on the opened Platform's catalog; only what it has just written does it read itself."""
    readers = [p for p in (PACKAGE / "auto_dw").rglob("*.py") for n in imports(p) if n.endswith("_catalog")]
    assert [p.relative_to(PACKAGE).as_posix() for p in readers] == ["auto_dw/build/builds.py"]


def test_openai_is_imported_by_one_module() -> None:
    users = {module_name(p) for p in modules() for n in imports(p) if n.split(".")[0] == "openai"}
    assert users == {"dataplatform.auto_dw.said.llm"}


def test_mlflow_is_imported_by_one_module_and_only_when_it_writes() -> None:
    users = {module_name(p) for p in modules() for n in imports(p) if n.split(".")[0] == "mlflow"}
    assert users == {"dataplatform.auto_dw.experiments.tracking"}
    code = "import sys, dataplatform.cli.auto_dw; print({'mlflow', 'openai'} & {m.split('.')[0] for m in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("library", "where"),
    [
        ("prefect", {"orchestration"}),
        ("kink", {"bootstrap"}),
        ("openai", {"auto_dw"}),
        ("mongoengine", {"layers.bronze"}),
        ("alembic", {"audit"}),
    ],
)
def test_libraries_stay_in_their_place(library: str, where: set[str]) -> None:
    users = {
        part(module_name(path))
        for path in modules()
        for name in imports(path)
        if name.split(".")[0] == library
    }
    assert users <= where


def test_the_command_line_only_shows_what_reading_gives() -> None:
    servers = {"sqlalchemy", "psycopg", "pymongo", "mongoengine", "bson"}
    users = {
        path.name for path in modules() if part(module_name(path)) == "cli"
        for name in imports(path) if name.split(".")[0] in servers
    }  # fmt: skip
    assert not users


def test_events_are_told_in_one_place() -> None:
    told = [
        str(path.relative_to(PACKAGE)) for path in modules()
        if re.search(r'"dataplatform\.(batch|entity|gold|run|source)\.[a-z]+"', path.read_text())
    ]  # fmt: skip
    assert told == ["events/kinds.py"]


def test_platform_is_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    code = "import platform, dataplatform; print(platform.python_version())"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_sizes() -> None:
    large = []
    for path in modules():
        text = path.read_text()
        if text.count("\n") > 400:
            large.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 60:
                large.append(f"{path.name}: {node.name}")
            if isinstance(node, ast.ClassDef):
                count = sum(isinstance(n, ast.FunctionDef) for n in node.body)
                if count > 20:
                    large.append(f"{path.name}: {node.name} has {count} methods")
    assert not large


@pytest.mark.parametrize("module", ["names", "project", "errors"])
def test_the_lowest_modules_need_the_standard_library_alone(module: str) -> None:
    used = {name.split(".")[0] for name in imports(PACKAGE / f"{module}.py")}
    assert used <= sys.stdlib_module_names


def test_no_module_counts_the_folders_above_it() -> None:
    """Where things are depends on how the package was installed; `project` alone knows."""
    assert [
        str(p)
        for p in modules()
        if re.search(r"__file__\)[^\n]*\bparents?\b", p.read_text()) and p.name != "project.py"
    ] == []


def test_head_is_the_newest_revision() -> None:
    revisions = [p.stem.split("_")[0] for p in sorted((project.migrations() / "versions").glob("*.py"))]
    assert revisions[-1] == HEAD


def docs() -> str:
    return "\n".join(p.read_text() for p in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_everything_is_documented() -> None:
    from dataplatform.layers.silver.evolve import CHILD_SYSTEM, SYSTEM
    from dataplatform.settings import Settings

    text = docs()
    words = {info.alias or f"DATAPLATFORM_{n.upper()}" for n, info in Settings.model_fields.items()}
    words |= {*SYSTEM, *CHILD_SYSTEM}
    words |= {f"`{c.name}`" for t in metadata.tables.values() for c in t.columns}
    source = "\n".join(p.read_text() for p in modules())
    words |= set(re.findall(r'"(dataplatform\.[a-z]+\.[a-z]+)"', source)) - {"dataplatform.cli.app"}
    missing = sorted(w for w in words if w not in text)
    assert not missing


def test_contributing_shows_the_tree_that_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    tree = text.split("platform/dataplatform/\n")[1].split("\nflows/ ")[0]
    shown = {line.split()[0].rstrip("/") for line in tree.splitlines()}
    found = {p.relative_to(PACKAGE).with_suffix("").parts[0] for p in modules()} - {"__init__", "layers"}
    layers = {p.relative_to(PACKAGE).with_suffix("").parts[1] for p in modules() if "layers" in p.parts} - {
        "__init__"
    }
    assert {name.removesuffix(".py") for name in shown} == found | {f"layers/{name}" for name in layers}


def test_what_contributing_points_to_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`([a-z_/.-]+\.(?:py|md|toml))`", text)) | set(
        re.findall(r"\]\(([\w/.-]+)\)", text)
    )
    places = [ROOT, PACKAGE, PACKAGE / "connectors"]
    missing = [name for name in named if not any((place / name).exists() for place in places)]
    assert missing == ["tables.py"]  # of any layer


def test_generated_pages_are_up_to_date(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "generate_docs.py"
    result = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for page in (path for path in tmp_path.rglob("*") if path.is_file()):
        place = page.relative_to(tmp_path)
        assert (ROOT / "docs" / place).read_text() == page.read_text(), f"run: make docs ({place})"


def test_nothing_of_a_registry_or_a_machine_is_in_the_lock() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[\w.\[\]-]+==[\w.+]+(; .*)?|", line) for line in lines)
