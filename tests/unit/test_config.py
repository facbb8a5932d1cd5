"""Settings: defaults, then the file, then the environment; every problem one sentence that names its place."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mediq import config
from mediq.config import ENVIRONMENT, ConfigError, Settings

SHIPPED = Path(__file__).parents[2] / "config.toml"

CONTRACT_NAMES = (
    "PORT",
    "RABBITMQ_URL",
    "DATABASE_URL",
    "REDIS_URL",
    "JWT_SECRET",
    "JWT_REFRESH_SECRET",
    "USER_SERVICE_QUEUE",
    "OCR_SERVICE_QUEUE",
    "QUEUE_SERVICE_QUEUE",
    "TIMEOUT_MS",
    "RETRY_ATTEMPTS",
    "CIRCUIT_BREAKER_THRESHOLD",
    "RATE_LIMIT_REQUESTS",
    "RATE_LIMIT_WINDOW",
    "OCR_API_TIMEOUT",
    "UPLOAD_MAX_SIZE",
    "ALLOWED_FILE_TYPES",
    "QUEUE_CLEANUP_INTERVAL",
    "STATISTICS_RETENTION_DAYS",
    "MEDIQ_DATA",
)
"""The environment variables that the documentation promises; another setting's variable may stand here as well."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder without a config.toml."""
    monkeypatch.chdir(tmp_path)


def leaves(tree: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths of all values of a tree, lists of tables counted as values."""
    if not isinstance(tree, dict):
        return {path}
    return {leaf for name, branch in tree.items() for leaf in leaves(branch, (*path, name))}


def test_the_shipped_file_shows_every_setting_with_its_default() -> None:
    assert config.load(SHIPPED, {}) == config.load(None, {}) == Settings()
    shown = leaves(tomllib.loads(SHIPPED.read_text("utf-8")))
    known = leaves(msgspec.to_builtins(Settings()))
    assert shown == known - {("http", "port")}  # unset, each role takes its own: shown as a comment


def test_the_shipped_file_names_the_environment_variable_beside_each_setting() -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    for name, path in ENVIRONMENT.items():
        [line] = [line for line in lines if re.match(rf"(# )?{path[-1]}\s*=", line) and name in line]
        assert line


def test_every_variable_that_the_shipped_file_names_overrides_a_setting() -> None:
    comments = (line.partition("#")[2] for line in SHIPPED.read_text("utf-8").splitlines())
    named = {name for comment in comments for name in re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", comment)}
    assert named
    assert named <= {*ENVIRONMENT, "ADMIN_FASKES"}


def test_every_variable_of_the_contract_overrides_a_setting() -> None:
    assert set(CONTRACT_NAMES) <= set(ENVIRONMENT)


@pytest.mark.parametrize("name", CONTRACT_NAMES)
def test_the_environment_wins_over_the_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('data = "from-file"\n[http]\nport = 1111\n[clinic]\nname = "K"\n')
    values = {"PORT": "2222", "ALLOWED_FILE_TYPES": "jpg, png", "STATISTICS_RETENTION_DAYS": "7"}
    value = values.get(name, "4321")
    found: Any = config.load(file, {name: f" {value} "})
    for part in ENVIRONMENT[name]:
        found = getattr(found, part)
    assert found in (value, int(value) if value.isdigit() else ("jpg", "png"))
    others = config.load(file, {})
    assert (others.data, others.http.port) == ("from-file", 1111)


def test_an_empty_variable_changes_nothing() -> None:
    assert config.load(None, dict.fromkeys(CONTRACT_NAMES, " ")) == Settings()


def test_config_toml_of_the_working_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[http]\nport = 1234\n")
    assert config.load(None, {}).http.port == 1234
    (tmp_path / "other.toml").write_text("[http]\ngrace_seconds = 3\n")
    assert config.load(tmp_path / "other.toml", {}).http.port is None


def test_keys_that_a_file_leaves_out_keep_their_defaults(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text('[clinic]\nname = "Klinik Sehat"\n[clinic.policy]\nrecall_limit = 1\n')
    clinic = config.load(file, {}).clinic
    assert (clinic.name, clinic.policy.recall_limit, clinic.policy.elderly_age) == ("Klinik Sehat", 1, 60)
    assert (clinic.services, clinic.counters) == (Settings().clinic.services, Settings().clinic.counters)
    file.write_text("[clinic.policy]\nrecall_limit = 1\n")
    assert config.load(file, {}).clinic.name == Settings().clinic.name


def test_a_file_may_define_its_own_clinic(tmp_path: Path) -> None:
    file = tmp_path / "clinic.toml"
    file.write_text(
        '[clinic]\nname = "Klinik Sehat"\ntimezone = "Asia/Jayapura"\n'
        '[[clinic.services]]\nid = "gigi"\nname = "Gigi"\nletter = "G"\nopens = 07:30:00\ncloses = 14:00:00\n'
        '[[clinic.counters]]\nid = "1"\nname = "Satu"\n'
    )
    clinic = config.load(file, {"STATISTICS_RETENTION_DAYS": "90"}).clinic
    assert (clinic.name, clinic.services[0].letter, clinic.policy.retention_days) == ("Klinik Sehat", "G", 90)


BAD_FILES = [
    ("colour = 1", "colour"),
    ("[http]\nprot = 3001", "prot"),
    ("[http.limits]\nrequest = 1", "request"),
    ("[clinic.policy]\nmax_wait = 5", "max_wait"),
    ('[http]\nport = "3001"', "http.port"),
    ("[http]\nport = 70000", "http.port"),
    ("[http]\nport = -1", "http.port"),
    ("[http]\nport = 3001.5", "http.port"),
    ("[http]\ngrace_seconds = nan", "http.grace_seconds"),
    ("[http.limits]\nrequests = 0", "http.limits.requests"),
    ('[http]\nregistration = "everyone"', "registration"),
    ('[ocr]\nallowed_file_types = ["gif"]', "allowed_file_types"),
    ("http = 1", "http"),
    ('[clinic]\nname = "K"\ntimezone = "Europe/Berlin"', "Europe/Berlin"),
    ('[clinic]\nname = "K"\nservices = []', "no service"),
    ('[[clinic.services]]\nid = "gigi"\nname = "Gigi"\nletter = "G"', "no counter"),
    ("[clinic.policy]\nretention_days = 0", "retention_days"),
    ("[http\nport = 1", "not valid TOML"),
    ("[http]\nport = 1\nport = 2", "not valid TOML"),
]


@pytest.mark.parametrize(("toml", "named"), BAD_FILES, ids=[toml for toml, _ in BAD_FILES])
def test_an_impossible_file_is_refused_by_name(tmp_path: Path, toml: str, named: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(toml)
    with pytest.raises(ConfigError) as refused:
        config.load(file, {})
    sentence = str(refused.value)
    assert named in sentence
    assert "bad.toml" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'[clinic]\nname = "Klinik \xe9"\n')
    for file in (tmp_path / "missing.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            config.load(file, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("PORT", "--1"),
        ("PORT", "²"),
        ("TIMEOUT_MS", "0"),
        ("TIMEOUT_MS", "5s"),
        ("RATE_LIMIT_REQUESTS", "many"),
        ("UPLOAD_MAX_SIZE", "5MB"),
        ("ALLOWED_FILE_TYPES", "jpg,exe"),
        ("STATISTICS_RETENTION_DAYS", "a month"),
        ("STATISTICS_RETENTION_DAYS", "0"),
    ],
)
def test_an_impossible_environment_variable_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.load(None, {name: value})
    sentence = str(refused.value)
    assert name in sentence or "retention_days" in sentence
    assert "\n" not in sentence


def test_a_bad_secret_is_not_repeated_in_the_sentence(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[auth]\njwt_secret = 123456789\n")
    with pytest.raises(ConfigError) as refused:
        config.load(file, {})
    assert "123456789" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('trusted_proxies = ["gateway"]', "gateway"),
        ('trusted_proxies = ["10.0.0.1/8"]', "10.0.0.1/8"),
        ('cors_origins = ["*"]', "'*'"),
        ('cors_origins = ["https://janji.example/"]', "https://janji.example/"),
    ],
)
def test_proxies_and_origins_are_checked_at_the_start(tmp_path: Path, line: str, named: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[http]\n{line}\n")
    with pytest.raises(ConfigError, match=re.escape(named)):
        config.load(file, {})
