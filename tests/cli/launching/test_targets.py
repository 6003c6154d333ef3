"""Each form of launch file, read by the program or schema that it is for.

Programs too large for every installation come with the extra `targets` (`make targets`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.launching.commands import LaunchOptions
from cli.launching.served import ServedReplica, serve_replicas
from cli.launching.systemd import quoted
from tests.cli.inputs import gswarm
from tests.cli.launching.plans import HOSTILE, read_case, write_case

HOSTS = ("gpu-a", "gpu-b")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def served(case: dict[str, str]) -> list[ServedReplica]:
    found = serve_replicas(*read_case(case), LaunchOptions())
    assert {s.slot.server for s in found} == {0, 1}
    assert any(s.after for s in found)
    assert {s.slot.model for s in found} == {"big", "small", "painter", HOSTILE}
    return found


@pytest.fixture(scope="module")
def export(case: dict[str, str]) -> Callable[..., str]:
    def run(form: str, *more: str | Path) -> str:
        files = ("--plan", case["plan"], "--config", case["config"])
        done = gswarm("export", *files, "--format", form, *more)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def expand_dollars(text: str) -> str:
    """Undo what Compose and Kubernetes do with dollars; a variable would be lost."""
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", text.replace("$$", "")), text
    return text.replace("$$", "$")


def test_compose_files_follow_the_specification(
    export: Callable[..., str], served: list[ServedReplica]
) -> None:
    """The schema of the Compose specification, and each service its replica's GPUs and words."""
    from jsonschema import validators

    schema = json.loads(
        (resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json")
        .read_text()
    )  # fmt: skip
    document = yaml.safe_load(export("compose"))
    validator = validators.validator_for(schema)(schema)
    assert list(validator.iter_errors(document)) == []
    assert list(validator.iter_errors({"services": {"a": {"imagine": "b"}}}))
    services = document["services"]
    assert len(services) == len(served)
    for s in served:
        service = services[s.name]
        assert tuple(map(expand_dollars, service["entrypoint"])) == s.words
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert tuple(map(int, device["device_ids"])) == s.slot.local_gpus
        waits = {int(n.removeprefix("replica-")) for n in service.get("depends_on", {})}
        assert waits == set(s.after)
        # Compose starts what a service waits for only where the profile is the same.
        assert all(services[f"replica-{r}"]["profiles"] == service["profiles"] for r in waits)


def test_kubernetes_manifests_are_valid(
    export: Callable[..., str], served: list[ServedReplica]
) -> None:
    """The strict schema of Kubernetes; a Deployment a replica on its node, GPUs by their way."""
    validate = pytest.importorskip("kubernetes_validate")
    documents = list(yaml.safe_load_all(export("kubernetes", "--hosts", ",".join(HOSTS))))
    for document in documents:
        validate.validate(document, "1.31", strict=True)
    with pytest.raises(validate.ValidationError):
        validate.validate({**documents[0], "spec": {"replicas": "one"}}, "1.31", strict=True)
    names = [(d["kind"], d["metadata"]["name"]) for d in documents]
    assert len(set(names)) == len(names) == 2 * len(served)
    pods = {
        d["metadata"]["name"]: d["spec"]["template"]["spec"]
        for d in documents
        if d["kind"] == "Deployment"
    }
    shared = {s.slot.server for s in served if s.after}
    for s in served:
        pod = pods[s.name]
        (container,) = pod["containers"]
        assert pod["nodeSelector"] == {"kubernetes.io/hostname": HOSTS[s.slot.server]}
        command = tuple(map(expand_dollars, container["command"]))
        assert command == tuple(w.replace("127.0.0.1", "0.0.0.0") for w in s.words)
        named = {e["name"]: e.get("value") for e in container.get("env", [])}
        if s.slot.server in shared:
            assert named["NVIDIA_VISIBLE_DEVICES"] == s.gpu_list
            assert "resources" not in container
        else:
            assert container["resources"]["limits"] == {"nvidia.com/gpu": len(s.slot.gpus)}
        assert len(pod.get("initContainers", [])) == len(s.after)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(
    export: Callable[..., str], served: list[ServedReplica], tmp_path: Path
) -> None:
    """`systemd-analyze verify` finds nothing, in units with hostile names; but in a wrong one."""
    export("systemd", "-o", tmp_path / "units")
    units = sorted((tmp_path / "units").rglob("*.*"))
    assert len([u for u in units if u.suffix == ".service"]) == len(served)
    for server in (0, 1):
        mine = [u for u in units if u.parent.name == f"server-{server}"]
        assert verify(mine) == ""
    broken = tmp_path / "broken.service"
    broken.write_text(mine[0].read_text().replace("Type=exec", "Type=exex"))
    assert verify([broken])


def verify(units: list[Path]) -> str:
    line = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=one", *units]
    return subprocess.run(line, capture_output=True, text=True).stderr


@pytest.mark.parametrize("word", [HOSTILE, "", "plain-1.0", 'x"\\', "\x1b[31m", "%i$$HOME"])
def test_systemd_gives_words_back(word: str) -> None:
    """Read by its rules: C escapes in double quotes, then specifiers and variables."""
    text = quoted(word)
    inner = text[1:-1] if text.startswith('"') else text
    plain = re.sub(r'\\(x[0-9a-f]{2}|["\\])', _escape, inner)
    assert not re.search(r'(?<!\\)"', re.sub(r"\\.", "", inner))
    assert plain.replace("%%", "%").replace("$$", "$") == word


def _escape(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if code.startswith("x") else code


def test_ray_serve_takes_its_configuration(
    export: Callable[..., str], served: list[ServedReplica]
) -> None:
    """The schema of `serve deploy`; replicas as many as in the plan, GPUs that they fit on."""
    schema = pytest.importorskip("ray.serve.schema", reason="needs the extra targets: make targets")
    config = yaml.safe_load(export("ray-serve"))
    application = schema.ServeDeploySchema.model_validate(config).applications[0]
    with pytest.raises(ValueError):
        schema.ServeDeploySchema.model_validate({**config, "proxy_location": "Nowhere"})
    models = {m["model_loading_config"]["model_id"]: m for m in application.args["llm_configs"]}
    assert set(models) == {"big", "small", HOSTILE}
    for name, model in models.items():
        mine = [s for s in served if s.slot.model == name]
        assert model["deployment_config"]["num_replicas"] == len(mine)
        bundles = model["placement_group_config"]["bundles"]
        assert len(bundles) == model["engine_kwargs"]["tensor_parallel_size"]
    gpus: dict[tuple[int, int], float] = {}
    for s in served:
        if s.slot.model in models:
            gpu = models[s.slot.model]["placement_group_config"]["bundles"][0]["GPU"]
            for g in s.slot.local_gpus:
                gpus[s.slot.server, g] = gpus.get((s.slot.server, g), 0) + gpu
    assert max(gpus.values()) <= 1


def test_litellm_takes_its_configuration(
    export: Callable[..., str], served: list[ServedReplica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models of its proxy and router; every replica at its address, by its load."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm", reason="needs the extra targets: make targets")
    from litellm.proxy._types import ConfigYAML

    config = yaml.safe_load(export("litellm", "--hosts", ",".join(HOSTS)))
    ConfigYAML.model_validate(config)
    router = litellm.Router(model_list=config["model_list"], **config["router_settings"])
    entries: dict[str, Any] = {d["model_info"]["id"]: d for d in router.get_model_list()}
    assert len(entries) == len(served)
    for s in served:
        entry = entries[s.name]
        assert entry["model_name"] == s.slot.model
        base = f"http://{HOSTS[s.slot.server]}:{s.port}/v1"
        assert entry["litellm_params"]["api_base"] == base
    top = max(served, key=lambda s: s.slot.load)
    weights = {s.name: entries[s.name]["litellm_params"]["weight"] for s in served}
    assert weights[top.name] == max(weights.values())


def test_ports_of_a_server_differ(served: list[ServedReplica]) -> None:
    ports = [(s.slot.server, s.port) for s in served]
    assert len(set(ports)) == len(ports)
