"""What a process signs in to Vault with: good for one use, and followed by the next."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from service.adapters.vault import Vault
from service.adapters.vault_secrets import VaultSecrets
from service.adapters.vault_session import Handover, VaultSession
from service.core.errors import VaultUnavailable
from service.core.settings import Secret
from tests.integration.service.black_hole import black_hole
from tests.integration.service.conftest import run
from tests.integration.service.machine import free_port, until
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres


def session(openbao: OpenBao, file: Path) -> VaultSession:
    return VaultSession(openbao.address, Handover("jeex-api", file), patience=0.3)


def looked(vault: Vault) -> object:
    """Something that the API may do."""
    return VaultSecrets(vault).get("jeex/settings")


async def code(work: Any) -> str:
    with pytest.raises(VaultUnavailable) as caught:
        await work
    return caught.value.code


def test_each_sign_in_leaves_the_next(openbao: OpenBao) -> None:
    file = openbao.hand_over()

    async def work() -> None:
        seen = {file.read_text()}
        for _ in range(3):  # a process that is started again and again
            one = session(openbao, file)
            assert await one.run(looked) is None
            await one.close()
            assert file.read_text() not in seen
            assert file.stat().st_mode & 0o777 == 0o600
            seen.add(file.read_text())

    run(work())


def test_one_that_was_used_is_refused_and_reported(openbao: OpenBao, capsys: pytest.CaptureFixture[str]) -> None:
    file = openbao.hand_over()
    stolen = file.read_text().strip()

    async def work() -> None:
        # Whoever was faster: the process learns of it, and so does its log.
        assert openbao.call("POST", "sys/wrapping/unwrap", {}, token=stolen)[0] == 200
        assert await code(session(openbao, file).run(looked)) == VaultUnavailable.HANDOVER_USED
        # Whoever is slower gets nothing.
        late = openbao.hand_over()
        copied = late.read_text().strip()
        one = session(openbao, late)
        await one.run(looked)
        assert openbao.call("POST", "sys/wrapping/unwrap", {}, token=copied)[0] == 400
        await one.close()

    run(work())
    assert "vault.handover_used" in capsys.readouterr().out


def test_a_vault_that_takes_its_time_loses_nothing_that_is_good_for_one_use(openbao: OpenBao) -> None:
    file = openbao.hand_over()
    seen = file.read_text()
    with black_hole(openbao.port) as slow:
        slow.slow = (b"/wrapping/unwrap", b"/approle/login")
        one = VaultSession(f"http://127.0.0.1:{slow.port}", Handover("jeex-api", file), timeout=0.5, patience=0.3)

        async def work() -> None:
            assert await one.run(looked) is None
            assert file.read_text() != seen  # the next one is there
            await one.close()

        run(work())


def test_a_vault_that_is_away_is_given_up_soon_and_uses_nothing_up(openbao: OpenBao) -> None:
    file = openbao.hand_over()
    with black_hole(openbao.port) as hole:
        hole.silent = True
        one = VaultSession(f"http://127.0.0.1:{hole.port}", Handover("jeex-api", file), timeout=0.5, patience=0.3)

        async def work() -> None:
            async with asyncio.timeout(5):  # much less than an answer may take that can be had once
                assert await code(one.run(looked)) == VaultUnavailable.UNREACHABLE
            hole.silent = False
            assert await one.run(looked) is None
            await one.close()

        run(work())


def test_what_was_wrapped_signs_in_once(openbao: OpenBao) -> None:
    vault = openbao.as_setup()
    secret_id = vault.open_handover(vault.hand_over("jeex-api", "1m"))
    first = Vault(openbao.address)
    assert first.sign_in("jeex-api", secret_id) == 3600
    with pytest.raises(VaultUnavailable) as caught:
        Vault(openbao.address).sign_in("jeex-api", secret_id)
    assert caught.value.code == VaultUnavailable.REFUSED
    vault.close()
    first.close()


@pytest.mark.parametrize("text", [None, "", "s.nonsense", "ÿ"])
def test_nothing_of_use_is_an_error_with_a_way_out(openbao: OpenBao, tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "handover"
    if text is not None:
        file.write_text(text)

    async def work() -> None:
        with pytest.raises(VaultUnavailable) as caught:
            await session(openbao, file).run(looked)
        assert caught.value.code in (VaultUnavailable.NOT_CONFIGURED, VaultUnavailable.HANDOVER_USED)
        assert "jeex up" in caught.value.hint or "seed" in caught.value.hint

    run(work())


def test_a_token_that_ended_while_vault_was_away_is_followed_by_another(openbao: OpenBao) -> None:
    file = openbao.hand_over()

    async def work() -> None:
        one = session(openbao, file)
        await one.run(looked)
        assert one._vault is not None
        openbao.call("POST", "auth/token/revoke-self", {}, token=one._vault.client.token)
        openbao.stop(signal.SIGKILL)
        assert await code(one.run(looked)) == VaultUnavailable.UNREACHABLE
        openbao.start()
        assert await one.run(looked) is None
        assert one.signed_in == 2
        await one.close()

    run(work())


def test_the_token_is_renewed_before_it_ends_and_ends_with_the_session(openbao: OpenBao) -> None:
    async def work() -> None:
        one = session(openbao, openbao.hand_over())
        await one.run(looked)
        assert one._vault is not None
        token = one._vault.client.token
        one._renew_at = 0.0  # as after half an hour
        await one.keep()
        assert one._renew_at > 0
        assert openbao.call("GET", "auth/token/lookup-self", token=token)[1]["data"]["ttl"] >= 3599
        await one.close()
        assert openbao.call("GET", "auth/token/lookup-self", token=token)[0] == 403

    run(work())


def test_two_processes_may_share_a_handover(openbao: OpenBao) -> None:
    file = openbao.hand_over()

    async def work() -> None:
        several = [session(openbao, file) for _ in range(4)]
        assert await asyncio.gather(*(one.run(looked) for one in several)) == [None] * 4
        for one in several:
            await one.close()

    run(work())


def test_an_api_whose_handover_was_used_says_so_and_does_not_start(
    openbao: OpenBao, postgres: Postgres, database: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": postgres.place(database), "API_PORT": str(free_port()), **openbao.settings()}
    stolen = Path(settings["VAULT_HANDOVER"]).read_text().strip()
    assert openbao.call("POST", "sys/wrapping/unwrap", {}, token=stolen)[0] == 200
    api = Service("api", settings, tmp_path / "api.log")
    assert api.run() == 1
    assert {one.get("code") for one in api.lines()} >= {VaultUnavailable.HANDOVER_USED}
    assert stolen not in api.log.read_text()


def test_settings_that_stand_in_vault_are_those_of_the_process_unless_its_environment_says_otherwise(
    openbao: OpenBao, postgres: Postgres, database: str, tmp_path: Path
) -> None:
    operator = Vault(openbao.address)
    operator.sign_in("jeex-operator", Secret(openbao.secret_id))
    there = {"BODY_LIMIT": "2048", "RATE_LIMIT": "1", "ALLOWED_HOSTS": "elsewhere.example"}
    VaultSecrets(operator).put("jeex/settings", there)
    operator.close()
    settings = {
        "DATABASE_URL": postgres.place(database),
        "API_PORT": str(free_port()),
        "ALLOWED_HOSTS": "127.0.0.1",
        "RATE_LIMIT": "",  # empty means: not said here
        **openbao.settings(),
    }
    api = Service("api", settings, tmp_path / "api.log")
    openbao.stop()
    api.start()
    try:
        until(lambda: "vault.awaited" in api.log.read_text())  # without its settings it would be another API
        openbao.start()
        api.wait("/ready")
        assert api.ask("POST", "/api/v1/sign-in", Content_Length="2049", Content_Type="application/json")[0] == 413
    finally:
        api.stop()
    assert "elsewhere.example" not in api.log.read_text()
