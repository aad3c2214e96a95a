"""A real process takes the tokens that its file has now."""

import signal
from pathlib import Path

import pytest

from tests.process.conftest import Start


@pytest.mark.slow
async def test_tokens_change_without_a_restart(start: Start, tmp_path: Path) -> None:
    """On SIGHUP the file is read again, and the service goes on."""
    file = tmp_path / "tokens"
    file.write_text("alice operate first\n")
    process = await start("--token-file", str(file))
    await process.line("service_started")
    async with process.client() as client:

        async def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.get("/whoami", headers=headers)).status_code

        assert [await status("first"), await status("w0rd-2")] == [200, 401]
        process.signal(signal.SIGHUP)
        assert (await process.line("tokens_reloaded"))["tokens"] == 1
        file.write_text("alice operate w0rd-2\nbob read third\n")
        assert (await process.line("tokens_reloaded", 2))["tokens"] == 2
        assert [await status("first"), await status("w0rd-2")] == [401, 200]
        file.write_text("nonsense in a file\n")
        failed = await process.line("token_reload_failed")
        assert "line 1" in failed["error"]
        assert await status("third") == 200
    process.signal()
    assert await process.exit_status() == 0
    assert "w0rd-2" not in str(process.lines())
