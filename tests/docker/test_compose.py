"""The compose stack and its images agree with the code, and keep the rules they promise."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
STACK = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GPU = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())
SERVICES = STACK["services"]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


def settings_names() -> set[str]:
    """Give every environment variable that the service reads."""
    names = {f"RELATA_{field}".upper() for field in Settings.model_fields}
    for field in Settings.model_fields.values():
        names |= {str(choice) for choice in getattr(field.validation_alias, "choices", [])}
    return names


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([sm])", duration).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


@pytest.mark.parametrize("name", SERVICES)
class TestEveryService:
    def test_has_its_own_health_check(self, name: str) -> None:
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")

    def test_is_nobody_in_particular_and_cannot_become_more(self, name: str) -> None:
        service = SERVICES[name]
        assert service["user"] == "10001:10001"
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]

    def test_writes_only_where_a_volume_or_tmpfs_is(self, name: str) -> None:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["tmpfs"] == ["/tmp"]

    def test_is_built_from_a_file_that_exists(self, name: str) -> None:
        assert (ROOT / SERVICES[name]["build"]["dockerfile"]).is_file()

    def test_only_uses_volumes_and_networks_that_are_declared(self, name: str) -> None:
        volumes = {v.split(":")[0] for v in SERVICES[name]["volumes"]}
        assert volumes <= set(STACK["volumes"])
        assert set(SERVICES[name]["networks"]) <= set(STACK["networks"])

    def test_sets_only_what_the_service_reads(self, name: str) -> None:
        environment = set(SERVICES[name]["environment"])
        environment |= set(GPU["services"].get(name, {}).get("environment", {}))
        if name == "redis":
            environment -= {"REDIS_PASSWORD", "REDISCLI_AUTH"}
        assert environment - settings_names() == set()


class TestStack:
    def test_only_the_api_is_reachable_from_outside(self) -> None:
        assert [name for name, service in SERVICES.items() if "ports" in service] == ["api"]
        assert STACK["networks"]["inside"] == {"internal": True}

    def test_a_password_is_demanded_wherever_it_is_used(self) -> None:
        text = (ROOT / "docker-compose.yml").read_text()
        uses = re.findall(r"\$\{REDIS_PASSWORD(.{2})", text)
        assert uses
        assert set(uses) == {":?"}

    def test_the_api_may_drain_before_it_is_killed(self) -> None:
        assert seconds(SERVICES["api"]["stop_grace_period"]) > Settings().drain_s

    def test_the_gpu_goes_to_the_workers_and_nobody_else(self) -> None:
        assert set(GPU["services"]) == {"worker", "trainer"}
        for service in GPU["services"].values():
            (device,) = service["deploy"]["resources"]["reservations"]["devices"]
            assert device["capabilities"] == ["gpu"]
            assert "count" not in device

    def test_redis_forgets_nothing(self) -> None:
        lines = (ROOT / "docker" / "redis" / "redis.conf").read_text().splitlines()
        assert {"appendonly yes", "maxmemory-policy noeviction"} <= set(lines)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
class TestEveryDockerfile:
    def test_needs_no_registry_beyond_its_base_images(self, path: Path) -> None:
        text = path.read_text()
        assert "# syntax=" not in text
        assert "@sha256" not in text
        assert "<<" not in text

    def test_leaves_health_to_the_stack(self, path: Path) -> None:
        assert "HEALTHCHECK" not in path.read_text()

    def test_runs_as_a_user_by_number(self, path: Path) -> None:
        assert re.findall(r"^USER (.+)$", path.read_text(), re.MULTILINE) == ["10001:10001"]

    def test_copies_only_what_exists_and_reaches_the_builder(self, path: Path) -> None:
        allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
        for line in re.findall(r"^COPY (.+)$", path.read_text(), re.MULTILINE):
            for source in (word.rstrip("/") for word in line.split()[:-1]):
                assert (ROOT / source).exists(), source
                assert any(fnmatch(source, p) or source.startswith(f"{p}/") for p in allowed)


class TestImages:
    def test_the_image_of_the_api_carries_no_torch_and_no_training(self) -> None:
        text = (ROOT / "docker" / "api.Dockerfile").read_text()
        assert "ARG EXTRA=service\n" in text
        assert "COPY training" not in text

    def test_the_image_that_trains_carries_both(self) -> None:
        text = (ROOT / "docker" / "worker.Dockerfile").read_text()
        assert "ARG EXTRAS=service,train\n" in text
        assert "COPY training/ training/\n" in text
