"""The server holds what its description says, as far as a few requests of each kind can show."""

from __future__ import annotations

import http.client
import importlib.util
import json
from contextlib import closing

import pytest

from pocketpref.server.openai.schema import description
from tools.fuzz import server as fuzz_server


def test_it_asks_the_real_server() -> None:
    with (
        fuzz_server.served() as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as line,
    ):
        key = {"Authorization": f"Bearer {fuzz_server.TOKEN}"}
        line.request("GET", "/v1/openapi.json", headers=key)
        assert json.load(line.getresponse()) == description()


@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="needs pocketpref[fuzz]"
)
def test_a_few_requests_of_each_kind_find_nothing() -> None:
    assert fuzz_server.main(["--examples", "5"]) == 0
