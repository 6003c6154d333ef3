"""What the documents take from the code is up to date, and the schemas judge as the readers do."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from cli.main import main
from docs.reference import documents
from placement.files.base_entry import Entry
from placement.files.input_schema import ClusterFile, ConfigFile, RequestsFile
from placement.files.json_schema import FILE_KINDS, FileKind, json_schema
from placement.files.plan_schema import PlanDocument
from placement.files.rules_schema import RulesFile

ROOT = Path(__file__).parent.parent
MODELS: dict[FileKind, type[Entry]] = {
    "config": ConfigFile, "cluster": ClusterFile, "rules": RulesFile, "requests": RequestsFile,
    "plan": PlanDocument,
}  # fmt: skip
SHIPPED = {
    "config": ["small.yaml", "multimodal.yaml", "studio.yaml", "local.yaml"],
    "cluster": ["heterogeneous_cluster.yaml", "studio_cluster.yaml"],
    "rules": ["rules.yaml"],
    "requests": ["small_requests.yaml"],
}


def load(name: str) -> Any:
    return yaml.load((ROOT / "configs" / name).read_text(), Loader=yaml.CSafeLoader)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[FileKind, Any]:
    """One whole file of each kind, short."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    arguments = ["solve", "--gpus", "8", "--method", "greedy", "-o", str(path)]
    for role, name in (("config", "small.yaml"), ("requests", "small_requests.yaml")):
        arguments += [f"--{role}", str(ROOT / "configs" / name)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    requests = load("small_requests.yaml")
    requests["requests"] = requests["requests"][:1]
    plan = json.loads(path.read_text())
    plan["replicas"] = plan["replicas"][:1]
    return {
        "config": load("small.yaml"),
        "cluster": load("heterogeneous_cluster.yaml"),
        "rules": load("rules.yaml"),
        "requests": requests,
        "plan": plan,
    }


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_documents_are_up_to_date(path: Path) -> None:
    """The published schemas and tables of fields are those of the code; `make docs` writes them."""
    assert path.read_text() == documents()[path], f"{path.name} is stale: run `make docs`"


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, names in SHIPPED.items() for n in names])
def test_shipped_files_fit_their_schemas(kind: FileKind, name: str) -> None:
    """An editor finds nothing wrong with the files in configs/."""
    validator = Draft202012Validator(json_schema(kind))
    assert [e.message for e in validator.iter_errors(load(name))] == []


def places(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_schemas_judge_as_the_readers_do(kind: FileKind, examples: dict[FileKind, Any]) -> None:
    """However one value of a file is replaced or left out, both accept it or both refuse it."""
    whole = examples[kind]
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    refused = 0
    for path in places(whole):
        for value in (None, -1, 0.5, 3, True, "", "text", [], {}, 1e13 + 0.5, "leave it out"):
            if path == ("version",) and value is True:
                continue  # to Python, True is the 1 that is asked for
            data = copy.deepcopy(whole)
            holder = data
            for key in path[:-1]:
                holder = holder[key]
            if value == "leave it out":
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
            try:
                MODELS[kind].model_validate(data)
                read = True
            except ValidationError:
                read = False
            assert validator.is_valid(data) == read, (path, value)
            refused += not read
    assert refused > 30


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_the_command_prints_what_is_published(kind: FileKind, tmp_path: Path) -> None:
    """`gswarm-place schema` and docs/schema/ hold the same."""
    published = json.loads((ROOT / "docs" / "schema" / f"{kind}.schema.json").read_text())
    assert json.loads(CliRunner().invoke(main, ["schema", kind]).output) == published
    target = tmp_path / "s.json"
    done = CliRunner().invoke(main, ["schema", kind, "-o", str(target), "--quiet"])
    assert (done.exit_code, done.output) == (0, "")
    assert json.loads(target.read_text()) == published
