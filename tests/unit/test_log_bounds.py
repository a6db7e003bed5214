"""How large logs may grow: said once, held by both runtimes."""

from __future__ import annotations

import pytest
import yaml

from jeex_cli import settings
from jeex_cli.errors import ConfigError
from jeex_cli.project import bundled
from jeex_cli.runtimes import log_keeper


def limit(text: str | None) -> int:
    given = {} if text is None else {"JEEX_LOG_MAX_SIZE": text}
    return log_keeper.limit(settings.resolve(flags={}, environ=given, remembered={}, project_file={}, defaults={}))


@pytest.mark.parametrize(
    ("text", "size"),
    [(None, 10 * 1024**2), ("", 10 * 1024**2), ("500k", 512_000), ("2M", 2 * 1024**2), ("1g", 1024**3), ("99999", 99_999)],
)
def test_sizes_as_docker_writes_them(text: str | None, size: int) -> None:
    assert limit(text) == size


@pytest.mark.parametrize("text", ["much", "-1", "10 m", "63k", "0", "1.5m", "10mb"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="JEEX_LOG_MAX_SIZE"):
        limit(text)


def test_every_container_has_the_same_bound() -> None:
    document = yaml.safe_load(bundled("compose.yaml").read_text())
    for name, service in document["services"].items():
        options = service["logging"]["options"]
        bounds = {"max-size": options["max-size"], "max-file": options["max-file"]}
        assert bounds == {"max-size": "${JEEX_LOG_MAX_SIZE:-10m}", "max-file": "2"}, name
