"""The worker: rotates what is due, and what everybody holds goes on holding."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from service.adapters.vault import Vault
from service.adapters.vault_keys import VaultKeys
from service.adapters.vault_logins import VaultLogins
from service.adapters.vault_secrets import VaultSecrets
from service.core.settings import Secret
from service.services import vault_setup
from service.services.rotation import Rotation
from tests.integration.service.machine import until
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao


def seeded(openbao: OpenBao, tmp_path: Path) -> Vault:
    """The operator's way into a vault that has its secrets."""
    assert Service("seed", openbao.seed_settings(), tmp_path / "seed.log").run() == 0
    vault = Vault(openbao.address)
    vault.sign_in(vault_setup.OPERATOR, Secret(openbao.secret_id))
    return vault


def worker(openbao: OpenBao, log: Path, **after: str) -> Service:
    return Service("worker", {"VAULT_POLL": "0.1", **openbao.settings("jeex-worker"), **after}, log)


def versions(vault: Vault) -> dict[str, int]:
    rotation = Rotation(VaultSecrets(vault), VaultKeys(vault), VaultLogins(vault))
    return {one.kind: one.version for one in rotation.ages({})}


def test_what_is_due_is_rotated_by_one_of_two_workers(openbao: OpenBao, tmp_path: Path) -> None:
    vault = seeded(openbao, tmp_path)
    assert versions(vault) == {"jwt": 1, "api-pepper": 1, "database": 1}
    time.sleep(2.1)  # what was made at seeding is older than two seconds from now on
    after = {"ROTATE_JWT_AFTER": "1d", "ROTATE_DATABASE_AFTER": "2s", "ROTATE_API_PEPPER_AFTER": "never"}
    both = [worker(openbao, tmp_path / f"worker-{number}.log", **after) for number in (1, 2)]
    try:
        for one in both:
            one.start()
        until(lambda: versions(vault)["database"] > 1)
        # The other one may not even have come as far as to hear that it is to end.
        until(lambda: all("worker.started" in one.log.read_text() for one in both))
    finally:
        ended = [one.stop() for one in both]
    assert ended == [0, 0]
    found = versions(vault)
    assert (found["jwt"], found["api-pepper"]) == (1, 1)
    done = [line["kind"] for one in both for line in one.lines() if line["event"] == "rotation.done"]
    assert done == ["database"] * (found["database"] - 1)
    vault.close()


def test_a_worker_waits_for_vault_and_outlives_it(openbao: OpenBao, tmp_path: Path) -> None:
    vault = seeded(openbao, tmp_path)
    one = worker(openbao, tmp_path / "worker.log", ROTATE_JWT_AFTER="never", ROTATE_DATABASE_AFTER="never")
    openbao.stop()
    one.start()
    try:
        until(lambda: "vault.awaited" in one.log.read_text())
        openbao.start()
        until(lambda: "worker.started" in one.log.read_text())
        openbao.stop(signal.SIGKILL)
        until(lambda: "rotation.failed" in one.log.read_text())
        assert one.process is not None
        assert one.process.poll() is None
        openbao.start()
    finally:
        assert one.stop() == 0
        vault.close()


def test_a_worker_that_is_told_to_end_while_it_waits_ends(openbao: OpenBao, tmp_path: Path) -> None:
    one = worker(openbao, tmp_path / "worker.log")
    openbao.stop()
    one.start()
    until(lambda: "vault.awaited" in one.log.read_text())
    assert one.process is not None
    os.kill(one.process.pid, signal.SIGTERM)
    assert one.process.wait(5) == 0


def test_the_worker_may_rotate_and_reads_no_secret(openbao: OpenBao, tmp_path: Path) -> None:
    vault = seeded(openbao, tmp_path)
    signed_in = Vault(openbao.address)
    signed_in.sign_in("jeex-worker", signed_in.open_handover(Secret(openbao.hand_over("jeex-worker").read_text().strip())))
    token = signed_in.client.token
    for method, path in (
        ("GET", "secret/data/jeex/api-pepper"),
        ("GET", "secret/data/jeex/oauth/github"),
        ("POST", "secret/data/jeex/other"),
        ("DELETE", "secret/data/jeex/api-pepper"),
        ("POST", "transit/sign/jwt"),
        ("GET", "transit/export/signing-key/jwt"),
        ("DELETE", "transit/keys/jwt"),
        ("PUT", "secret/data/jeex/settings"),
        ("DELETE", "secret/data/jeex/queue-key"),
        ("POST", "auth/approle/role/jeex-worker/secret-id"),
        ("POST", "auth/approle/role/jeex-api/secret-id"),
        ("PUT", "sys/policies/acl/jeex-worker"),
    ):
        assert openbao.call(method, path, {"data": {}}, token=token)[0] == 403, (method, path)
    signed_in.close()
    vault.close()
