"""`dataplatform new`: files for a person to go on with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dataplatform.bootstrap import open_platform
from dataplatform.cli.common import Json, command, out, print_json
from dataplatform.cli.drafts import source
from dataplatform.metadata.model_text import Shape, appended, class_name, module_text
from dataplatform.reading.shape import shape_named

app = typer.Typer(
    help="Writes files for you to go on with: a source, the class of an entity.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def new() -> None:
    """Writes files for you to go on with: a source, the class of an entity."""


app.command("source")(source)


@app.command("model")
@command
def model(
    entity: Annotated[str, typer.Argument(help="Such as github.issues.")],
    stdout: Annotated[bool, typer.Option("--stdout", help="Print the class; write nothing.")] = False,
    json_: Json = False,
) -> None:
    """Writes an entity's columns, types and keys as a Pydantic class to metadata/models/SOURCE.py.

    What metadata say comes first, then what silver knows. A file that is there gets the class at its end;
    a class that is there stays as it is. The entity uses it once its YAML has the line that is printed."""
    with open_platform() as platform:
        ref, shape = shape_named(platform, entity)
        file = platform.settings.metadata_path / "models" / f"{ref.source}.py"
        yaml = platform.settings.metadata_path / "sources" / f"{ref.source}.yaml"
    text = module_text(ref.name, shape) if stdout else _written(file, ref.name, shape)
    line = f"model: {ref.source}.{class_name(ref.name)}"
    if json_:
        print_json({"status": "done", "file": None if stdout else str(file), "line": line, "text": text})
    elif stdout:
        sys.stdout.write(text)
    else:
        out.print(f"{file} has the class {class_name(ref.name)}", markup=False, soft_wrap=True)
        out.print(
            f"in {yaml}, of the entity {ref.name}, write\n    {line}\nin place of its key:, columns: and children:",
            markup=False,
            soft_wrap=True,
        )


def _written(file: Path, entity: str, shape: Shape) -> str:
    """Writes the class into the file; its whole text."""
    text = module_text(entity, shape)
    if file.exists():
        text = appended(file.read_text("utf-8"), str(file), entity, shape)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return text
