"""The files in docker/: right by their linters, and in step with each other and with the code."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from dagster import DagsterInstance
from dagster._config import process_config, resolve_to_config_type
from dagster_docker import DockerRunLauncher
from docker.models.containers import _create_container_args
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from mlc_dagster.graph.steps import PAIR_TAG
from mlc_dagster.settings import REPOSITORY
from mlc_dagster.settings.whole import Pairs

DOCKER = REPOSITORY / "docker"
COMPOSE = DOCKER / "compose" / "compose.yaml"
VALUES = DOCKER / "kubernetes" / "values.yaml"
RECEIVER = DOCKER / "kubernetes" / "receiver.yaml"
YAML_RULES = (
    "{extends: default, rules: {line-length: {max: 140}, document-start: disable,"
    " braces: disable, brackets: disable, comments: disable}}"
)


def tool(name: str, *arguments: str | Path) -> None:
    """Run a linter of the development environment; what it found is the failure's text."""
    command = [str(Path(sys.executable).parent / name), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_dockerfile_follows_the_rules_of_hadolint() -> None:
    tool("hadolint", DOCKER / "Dockerfile")


def test_the_compose_file_follows_the_compose_specification() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_manifests_follow_kubernetes_own_schemas() -> None:
    tool("kubernetes-validate", "--strict", RECEIVER)


def test_all_yaml_is_tidy() -> None:
    tool("yamllint", "--strict", "-d", YAML_RULES, DOCKER)


def test_the_image_is_locked_by_hashes_and_runs_without_rights() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert "--require-hashes" in text
    user = re.findall(r"^USER (\S+)", text, flags=re.MULTILINE)
    assert user == ["10001:10001"]
    assert text.index("USER 10001") > text.rindex("RUN ")


def test_what_the_image_copies_is_let_through_by_dockerignore() -> None:
    let_through = re.findall(r"^!(\S+)", (REPOSITORY / ".dockerignore").read_text(), flags=re.MULTILINE)
    lines = re.findall(r"^COPY (?!--from)(.*)", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    sources = [word for line in lines for word in line.split()[:-1] if not word.startswith("--")]
    assert sorted(sources) == sorted(let_through)
    assert all((REPOSITORY / source).exists() for source in sources)


def test_the_image_and_the_development_environment_use_the_same_versions() -> None:
    def pinned(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), flags=re.MULTILINE))

    image, runtime = pinned(DOCKER / "requirements.lock"), pinned(REPOSITORY / "requirements.lock")
    assert {name: image[name] for name in runtime if name in image} == {
        name: version for name, version in runtime.items() if name in image
    }
    assert {"dagster", "duckdb", "pyarrow"} <= runtime.keys() & image.keys()


def test_the_instances_differ_by_storage_and_launcher_only() -> None:
    one, postgres, compose = (
        read(path)
        for path in (
            REPOSITORY / "dagster.yaml",
            DOCKER / "dagster.yaml",
            DOCKER / "compose" / "dagster.yaml",
        )
    )
    assert postgres == one | {"storage": postgres["storage"]}
    assert compose == postgres | {
        "run_launcher": compose["run_launcher"],
        "compute_logs": compose["compute_logs"],
    }


def test_runs_of_each_pair_wait_before_they_take_their_companys_place() -> None:
    limits = read(REPOSITORY / "dagster.yaml")["concurrency"]["runs"]["tag_concurrency_limits"]
    pairs = {limit["value"]: limit["limit"] for limit in limits if limit["key"] == PAIR_TAG}
    assert pairs.keys() == Pairs.model_fields.keys()
    text = (REPOSITORY / "docs" / "deploy.md").read_text()
    pools = dict(re.findall(r"dagster instance concurrency set (\w+) (\d+)", text))
    assert {name: int(pools.get(name, 1)) for name in pairs} == pairs


def test_the_values_of_the_chart_say_what_the_instance_says() -> None:
    values, one = read(VALUES), read(REPOSITORY / "dagster.yaml")
    daemon = values["dagsterDaemon"]
    chart = {
        "concurrency": values["concurrency"],
        "run_queue": daemon["runCoordinator"]["config"]["queuedRunCoordinator"],
        "run_monitoring": daemon["runMonitoring"],
        "run_retries": daemon["runRetries"],
        "retention": values["retention"],
        "python_logs": values["pythonLogs"],
        "telemetry": values["telemetry"],
    }
    # A cluster starts more runs at once, and each takes longer to start.
    one["concurrency"]["runs"]["max_concurrent_runs"] = 10
    one["run_monitoring"]["start_timeout_seconds"] = 300
    assert set(lacking(one, in_dagsters_words(chart))) == {("nux",)}


def in_dagsters_words(value: Any) -> Any:
    """Values of the chart with the names dagster.yaml has: the chart writes the same in camel case. What the
    value of a limit says is handed on as it is.
    """
    if isinstance(value, dict):
        return {
            re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", key): (
                item if key == "value" else in_dagsters_words(item)
            )
            for key, item in value.items()
        }
    return [in_dagsters_words(item) for item in value] if isinstance(value, list) else value


def lacking(expected: dict[str, Any], given: dict[str, Any], *way: str) -> Iterator[tuple[str, ...]]:
    """Where something expected is not given, or is another."""
    for key, value in expected.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            yield from lacking(value, given[key], *way, key)
        elif key not in given or given[key] != value:
            yield *way, key


def test_the_chart_gives_dagster_all_limits_in_one_place() -> None:
    # Beside pools Dagster refuses to start with limits in the run coordinator, and the chart copies both.
    coordinator = read(VALUES)["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert coordinator.keys() == {"dequeueIntervalSeconds"}


def test_dagster_accepts_the_launcher_of_the_compose_file() -> None:
    launcher = read(DOCKER / "compose" / "dagster.yaml")["run_launcher"]
    assert (launcher["module"], launcher["class"]) == ("dagster_docker", DockerRunLauncher.__name__)
    judged = process_config(resolve_to_config_type(DockerRunLauncher.config_type()), launcher["config"])
    assert judged.success, judged.errors


def test_dagster_opens_the_instance_of_one_machine(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled


def test_docker_accepts_what_the_launcher_asks_of_it() -> None:
    launcher = read(DOCKER / "compose" / "dagster.yaml")["run_launcher"]["config"]
    asked = _create_container_args({"image": "mlc", **launcher["container_kwargs"], "version": "1.41"})
    host = asked["host_config"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["AutoRemove"]
    assert asked["healthcheck"] == {"test": ["NONE"]}
    assert host["Binds"] == ["mlc_config:/config:ro", "mlc_data:/data", "/tmp"]


def test_nothing_of_ours_may_write_to_its_image() -> None:
    ours = {
        name: service
        for name, service in read(COMPOSE)["services"].items()
        if "image" in service and ("mlc-dagster" in service["image"])
    }
    assert ours.keys() == {"code", "daemon", "webserver", "webserver-read-only", "receiver"}
    assert all(service["read_only"] and service["tmpfs"] == ["/tmp"] for service in ours.values())
    code = read(VALUES)["dagster-user-deployments"]["deployments"][0]
    assert code["securityContext"]["readOnlyRootFilesystem"]
    assert {"name": "tmp", "mountPath": "/tmp"} in code["volumeMounts"]


def test_the_health_check_of_the_image_asks_the_code_server() -> None:
    check = re.search(
        r"^HEALTHCHECK .*? CMD (\[.*?\])$", (DOCKER / "Dockerfile").read_text(), flags=re.M | re.S
    )
    assert check is not None
    program, option, text = json.loads(check[1].replace("\\\n", ""))
    assert (program, option) == ("python", "-c")
    with serving_health("DagsterApi") as port:
        asked = text.replace(":4000", f":{port}")
        assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
    result = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=False)
    assert result.returncode != 0


@contextmanager
def serving_health(service: str) -> Iterator[int]:
    """A gRPC server that says a service of it is well, as Dagster's code server does."""
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = HealthServicer()
    servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def test_a_run_gets_nothing_that_its_daemon_does_not_have() -> None:
    handed_on = read(DOCKER / "compose" / "dagster.yaml")["run_launcher"]["config"]["env_vars"]
    daemon = read(COMPOSE)["services"]["daemon"]["environment"]
    assert set(handed_on) <= daemon.keys()


def test_every_setting_without_a_default_is_in_the_example_environment() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    offered = set(
        re.findall(r"^(\w+)=", (DOCKER / "compose" / "env.example").read_text(), flags=re.MULTILINE)
    )
    assert asked == offered


def test_only_the_proxy_has_a_port_and_only_launchers_reach_docker() -> None:
    services = read(COMPOSE)["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    reach = {name for name, service in services.items() if "docker" in service["networks"]}
    assert reach == {"docker", "daemon", "webserver"}
    mounted = {name for name, service in services.items() if "docker.sock" in str(service.get("volumes"))}
    assert mounted == {"docker"}


def test_the_proxy_reaches_services_that_exist() -> None:
    services = read(COMPOSE)["services"]
    ports = dict(re.findall(r"reverse_proxy ([\w-]+):(\d+)", (DOCKER / "compose" / "Caddyfile").read_text()))
    assert ports == {"webserver": "3000", "webserver-read-only": "3000", "receiver": "8400"}
    assert ports.keys() <= services.keys()
    assert "--read-only" in services["webserver-read-only"]["command"]


def test_pods_run_without_rights_and_take_secrets_from_a_secret() -> None:
    deployment = next(iter(yaml.safe_load_all(RECEIVER.read_text())))
    code = read(VALUES)["dagster-user-deployments"]["deployments"][0]
    run = read(VALUES)["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    for pod in (deployment["spec"]["template"]["spec"]["securityContext"], code["podSecurityContext"]):
        assert pod["runAsNonRoot"]
        assert pod["runAsUser"] == 10001
    assert run["podSpecConfig"]["securityContext"] == code["podSecurityContext"]
    for context in (container["securityContext"], code["securityContext"]):
        assert not context["allowPrivilegeEscalation"]
    assert container["envFrom"] == [{"secretRef": {"name": "mlc"}}]
    assert code["envSecrets"] == [{"name": "mlc"}]


def test_prometheus_scrapes_the_receiver_and_is_given_rules_that_it_can_read() -> None:
    folder = DOCKER / "prometheus"
    prometheus = read(folder / "prometheus.yml")
    receiver = read(COMPOSE)["services"]["receiver"]["command"]
    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": [f"receiver:{receiver[-1]}"]}]
    rules = [
        rule
        for file in prometheus["rule_files"]
        for group in read(folder / file)["groups"]
        for rule in group["rules"]
    ]
    # A comma within an expression ends it where a rule is written in one line.
    assert all({"alert", "expr"} <= rule.keys() <= {"alert", "expr", "for"} for rule in rules)
    guide = (REPOSITORY / "docs" / "metrics.md").read_text()
    assert [rule["alert"] for rule in rules] == re.findall(r"^\| `(Mlc\w+)` \|", guide, flags=re.M)


def test_the_chart_has_the_version_of_the_locked_library() -> None:
    version = re.search(
        r"^dagster==(\S+)", (REPOSITORY / "requirements.lock").read_text(), flags=re.MULTILINE
    )
    assert version is not None
    assert f"--version {version[1]} " in VALUES.read_text()
