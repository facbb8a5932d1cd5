"""The deployment files agree with the program: names, ports, settings, metrics. No Docker is needed."""

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from mediq import config
from mediq.app import Application
from mediq.observability import metrics
from mediq.process_roles import PORTS, check_roles, is_embedded, parse_roles

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_TEXT = (DEPLOY / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ROLE_SERVICES = sorted(PORTS)
VARIABLES = re.findall(r"(?<!\$)\$\{([A-Z_]+)(:[?-])([^}]*)\}", COMPOSE_TEXT)
DOCKERFILE = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text("utf-8"))
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/mediq.json").read_text("utf-8"))
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text("utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
RELEASE = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))


def environment_of(service: str) -> dict[str, str]:
    """The environment of a service's container, with every required variable filled in."""
    fill = lambda found: found[3] if found[2] == ":-" else f"{found[1].lower()}-of-at-least-32-bytes-length"  # noqa: E731
    return {
        name: re.sub(r"\$\{([A-Z_]+)(:[?-])([^}]*)\}", fill, value)
        for name, value in SERVICES[service]["environment"].items()
    }


# Compose


def test_every_variable_stops_the_start_or_has_a_default() -> None:
    assert len(VARIABLES) == len(re.findall(r"(?<!\$)\$\{", COMPOSE_TEXT))
    for name, kind, text in VARIABLES:
        assert text, name
        if re.search("PASSWORD|SECRET", name):
            assert kind == ":?", f"{name} has a default"


def test_the_example_names_every_variable_and_holds_no_secret() -> None:
    lines = (DEPLOY / ".env.example").read_text("utf-8").splitlines()
    required = {line.partition("=")[0] for line in lines if re.match("[A-Z]", line)}
    assert required == {name for name, kind, _ in VARIABLES if kind == ":?"}
    assert all(line.endswith("=") for line in lines if re.match("[A-Z]", line))
    optional = dict(line[2:].split("=") for line in lines if re.match("# [A-Z_]+=", line))
    assert optional == {name: text for name, kind, text in VARIABLES if kind == ":-"}


def test_every_role_has_a_service_with_exactly_the_settings_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(PORTS) <= set(SERVICES)
    for role in PORTS:
        assert SERVICES[role]["command"] == ["--role", role]
        environment = environment_of(role)
        assert set(environment) <= set(config.ENVIRONMENT)
        settings = config.load(DEPLOY / "config.toml", environment)
        check_roles(settings, parse_roles(role))
        assert not is_embedded(settings, parse_roles(role)), "the data folder is not kept here"
        assert settings.http.port == PORTS[role]
        for name in ("RABBITMQ_URL", "DATABASE_URL", "REDIS_URL"):
            if name in environment:
                host = re.search(r"@([a-z]+):", environment[name])
                assert host is not None
                assert SERVICES[role]["depends_on"][host[1]] == {"condition": "service_healthy"}
    assert [role for role in ROLE_SERVICES if "DATABASE_URL" in SERVICES[role]["environment"]] == ["user"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_has_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert not service.get("privileged")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    image = service["image"]
    assert re.search(r":[v0-9$]", image), f"{image} names no version"
    assert "latest" not in image
    if name not in PORTS:
        assert service["healthcheck"]["test"]


def test_only_the_gateway_and_grafana_on_loopback_can_be_reached_from_outside() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "gateway": ["${GATEWAY_PORT:-3001}:3001"],
        "grafana": ["127.0.0.1:${GRAFANA_PORT:-3030}:3000"],
    }
    open_networks = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert {name for name, service in SERVICES.items() if open_networks & set(service["networks"])} == set(published)
    for watcher in ("prometheus", "grafana"):
        assert "backend" not in SERVICES[watcher]["networks"]


def test_a_stop_waits_longer_than_the_longest_drain() -> None:
    """With 10 `grace_seconds` the port may take 15 s and the actors 25 s; bus, transport and stores 10 s each."""
    for role in PORTS:
        settings = config.load(DEPLOY / "config.toml", environment_of(role))
        children = Application(settings, parse_roles(role)).supervisor().specs
        drain = sum(child.shutdown for child in children)
        assert drain == 70
        assert float(SERVICES[role]["stop_grace_period"].removesuffix("s")) > 70
        assert SERVICES[role]["stop_signal"] == "SIGTERM"


def test_every_mounted_file_exists() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source, target, *mode = mount.split(":")
            assert target.startswith("/")
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), source
                assert mode == ["ro"]
            else:
                assert source in COMPOSE["volumes"]


def test_roles_write_to_memory_and_servers_to_named_volumes() -> None:
    for role in PORTS:
        assert [mount.partition(":")[0] for mount in SERVICES[role]["tmpfs"]] == ["/data", "/tmp"]
        assert not any(mount.endswith(":/data") for mount in SERVICES[role]["volumes"])
    kept = {"rabbitmq": "/var/lib/rabbitmq", "mysql": "/var/lib/mysql", "redis": "/data"}
    for name, folder in kept.items():
        assert f"{name}:{folder}" in SERVICES[name]["volumes"]


def test_every_server_flushes_before_it_confirms() -> None:
    redis = dict(
        line.split(maxsplit=1)
        for line in (DEPLOY / "redis/redis.conf").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert (redis["appendonly"], redis["appendfsync"], redis["maxmemory-policy"]) == ("yes", "always", "noeviction")
    assert "requirepass" not in redis
    mysql = dict(re.findall(r"^([a-z_-]+) = (\S+)$", (DEPLOY / "mysql/mediq.cnf").read_text("utf-8"), re.MULTILINE))
    assert mysql["character-set-server"] == "utf8mb4"
    assert (mysql["innodb_flush_log_at_trx_commit"], mysql["sync_binlog"]) == ("1", "1")
    assert SERVICES["rabbitmq"]["hostname"] == "rabbitmq"


# The image


def test_the_image_runs_as_an_unprivileged_user_and_gets_signals() -> None:
    assert re.search(r"^USER 10001:10001$", LAST_STAGE, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", LAST_STAGE, re.MULTILINE)
    for word in ("ENTRYPOINT", "CMD"):
        found = re.search(rf"^{word} (.*)$", LAST_STAGE, re.MULTILINE)
        assert found is not None
        assert isinstance(json.loads(found[1]), list), f"{word} goes through a shell, which swallows signals"
    assert "HEALTHCHECK" in LAST_STAGE
    assert "ORT_DISABLE_TELEMETRY=1" in LAST_STAGE  # else the library that reads cards calls its maker
    assert "pip install" not in LAST_STAGE
    assert "apt-get" not in LAST_STAGE
    for mount in SERVICES["user"]["tmpfs"]:
        if mount.startswith("/data:"):
            assert "uid=10001,gid=10001" in mount


def test_the_build_context_holds_only_copied_files() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split()
    copied = {
        source
        for arguments in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in arguments.split()[:-1]
    }
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} - {"deploy"} == copied
    for source in copied:
        assert (ROOT / source).exists(), source


def test_the_image_carries_a_python_that_mediq_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    base = re.search(r"^ARG BASE=python:(\d\.\d+)-slim-bookworm$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert project["requires-python"] == f">={base[1]}"


def test_image_and_workflow_install_the_locked_libraries() -> None:
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert "--require-hashes" in (ROOT / "scripts/setup").read_text("utf-8")
    audit = " ".join(step.get("run", "") for step in WORKFLOW["jobs"]["audit"]["steps"])
    assert "--requirement requirements.lock" in audit


def test_the_image_that_is_built_without_a_version_is_the_one_that_is_checked() -> None:
    [default] = [text for name, _, text in VARIABLES if name == "MEDIQ_VERSION"]
    assert f"mediq:{default} " in (ROOT / ".github/workflows/ci.yml").read_text("utf-8")


class _Ready(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/ready" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Ready) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("answer", "status"), [(200, 0), (503, 1), (404, 1)])
def test_a_container_is_healthy_while_mediq_is_ready(
    server: HTTPServer, answer: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Ready, "status", answer)
    # A proxy that does not exist: asking it would fail.
    environment = {"PORT": str(server.server_port), "http_proxy": "http://127.0.0.1:9"}
    run = subprocess.run([sys.executable, DEPLOY / "healthcheck.py"], env=environment, check=False, timeout=30)
    assert run.returncode == status


def test_a_container_without_a_listener_is_unhealthy(server: HTTPServer) -> None:
    port = server.server_port
    server.socket.close()
    run = subprocess.run(
        [sys.executable, DEPLOY / "healthcheck.py"],
        env={"PORT": str(port)},
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert run.returncode == 1
    assert b"/ready" in run.stderr


# Monitoring


def known_series() -> dict[str, set[str]]:
    """Every time series of MediQ's own metrics, with its labels."""
    own = [value for value in vars(metrics).values() if hasattr(value, "_labelnames")]
    assert own
    suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}
    found = [(metric._name, metric._type, metric._labelnames) for metric in own]
    return {
        name + suffix: {*labels, *(["le"] if suffix == "_bucket" else [])}
        for name, kind, labels in found
        for suffix in suffixes[kind]
    }


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


@pytest.mark.parametrize("expression", [*expressions(), *(rule["expr"] for rule in ALERTS["groups"][0]["rules"])])
def test_an_expression_uses_only_series_and_labels_of_mediq(expression: str) -> None:
    series = known_series()
    names = re.findall(r"\b(?:mediq_\w+|up)\b", expression)
    assert names
    labels = {"role", "job"}
    for name in names:
        assert name == "up" or name in series, name
        labels |= series.get(name, set())
    named = set(re.findall(r"(\w+)=~?\"", expression))
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        named |= set(group.split(", "))
    assert named <= labels


def test_the_dashboard_shows_every_metric() -> None:
    shown = " ".join(expressions())
    for name in known_series():
        if not name.endswith(("_sum", "_bucket")):
            assert name in shown or name.replace("_count", "_bucket") in shown, name


def test_the_series_are_registered_under_these_names() -> None:
    registered = {sample.name for metric in REGISTRY.collect() for sample in metric.samples} | {
        name for names in REGISTRY._collector_to_names.values() for name in names
    }
    assert set(known_series()) <= registered


def test_panels_have_unique_ids_and_the_provisioned_source() -> None:
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text("utf-8"))
    uid = source["datasources"][0]["uid"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": uid}
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/mediq.yaml").read_text("utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in SERVICES["grafana"]["volumes"]


def test_prometheus_scrapes_every_role_at_its_port() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    asked = {found["names"][0]: found["port"] for found in job["dns_sd_configs"]}
    assert asked == PORTS
    assert all("metrics" in SERVICES[role]["networks"] for role in PORTS)
    for rules in PROMETHEUS["rule_files"]:
        assert (DEPLOY / "prometheus" / rules).exists()


# Continuous integration


def test_the_workflow_runs_the_readmes_test_command_and_may_only_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    runs = {name: [step.get("run", "") for step in job["steps"]] for name, job in WORKFLOW["jobs"].items()}
    assert ".ci/run" in runs["test"]
    assert any("pip-audit" in run for run in runs["audit"])
    assert "make test" in (ROOT / ".ci/run").read_text("utf-8")
    assert WORKFLOW["jobs"]["test"]["container"]["image"] == "debian:12"
    assert all("timeout-minutes" in job for job in WORKFLOW["jobs"].values())


def test_unit_tests_run_on_every_python_from_the_oldest_that_mediq_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = WORKFLOW["jobs"]["unit"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={versions[0]}"
    assert versions == [f"3.{minor}" for minor in range(11, 11 + len(versions))]
    assert any("make unit" in step.get("run", "") for step in WORKFLOW["jobs"]["unit"]["steps"])


def test_a_release_is_built_of_a_tested_commit_alone() -> None:
    assert RELEASE["permissions"] == {"contents": "read"}
    assert RELEASE["jobs"]["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert RELEASE["jobs"]["release"]["needs"] == "ci"
