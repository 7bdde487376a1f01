"""A client that keeps its connection open can use it again after a refusal, also when nobody read its body."""

import pytest
import requests


@pytest.mark.parametrize(
    ("method", "path", "signed_in", "status"),
    [
        ("POST", "/api/v1/organizations", False, 401),
        ("PUT", "/api/v1/no-such-path", True, 404),
        ("PUT", "/api/v1/connections/conn_1/contexts", True, 403),
        ("POST", "/proxy/anything", False, 401),
    ],
)
def test_refusals_do_not_break_the_next_request(server, rest, method, path, signed_in, status):
    headers = {"connection_name": "some", "identifier": "one", **(rest.credentials() if signed_in else {})}
    with requests.Session() as session:
        session.verify, session.trust_env = str(server.ca), False
        adapter = session.get_adapter(server.url)
        for _ in range(150):  # headers and body leave in two packets; whether they arrive together is chance
            answer = session.request(method, server.url + path, json={"display_name": "x"}, headers=headers, timeout=10)
            assert answer.status_code == status, answer.text
        pools = adapter.poolmanager.pools
        opened = sum(pools[key].num_connections for key in pools.keys())
        assert opened == 1, f"{opened - 1} connections were closed in between"
