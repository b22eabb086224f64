"""The node's own routes, and what every answer has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.integration.rest.test_pods import PODS, create, refusal
from tests.support.api import ANY_PORT, NODE, rest_api

from decube.api.rest import RestOptions
from decube.api.rest.docs import ASSETS, STATIC

if TYPE_CHECKING:
    from tests.support.api import RestApi


async def test_health_tells_time_and_leadership(api: RestApi) -> None:
    answer = await api.client.get("/health")
    body = answer.json()
    assert answer.status_code == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body.pop("timestamp"))
    assert body == {"status": "healthy", "is_leader": True}


@pytest.mark.parametrize("path", ["/health", PODS, "/docs", "/metrics", "/no/such/route"])
async def test_head_is_get_without_the_body(api: RestApi, path: str) -> None:
    whole, head = await api.client.get(path), await api.client.head(path)
    assert head.status_code == whole.status_code
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    assert head.content == b""


@pytest.mark.parametrize("path", ["/health", "/node/info", PODS, f"{PODS}/absent", "/no/route"])
async def test_json_is_a_whole_line(api: RestApi, path: str) -> None:
    lines = (await api.client.get(path)).text.splitlines(keepends=True)
    assert [line[-1] for line in lines] == ["\n"]


async def test_the_root_names_what_there_is(api: RestApi) -> None:
    index = (await api.client.get("/")).json()
    assert (index.pop("name"), index.pop("version")) == ("DeCube", NODE.info.version)
    for path in index.values():
        assert (await api.client.get(path)).status_code == 200


async def test_node_info_tells_what_the_node_is(api: RestApi) -> None:
    body = (await api.client.get("/node/info")).json()
    assert body == {name: getattr(NODE.info, name) for name in NODE.info.__struct_fields__}
    assert body.keys() >= {"node_id", "version", "is_leader", "leader_addr", "address", "role"}


async def test_metrics_count_requests_by_status_under_the_originals_name(api: RestApi) -> None:
    await create(api, "a")
    await api.client.get(f"{PODS}/a")
    await api.client.get(f"{PODS}/b")
    await api.client.get("/no/such/route")
    text = (await api.client.get("/metrics")).text
    counted = 'decube_http_requests_total{method="GET",route="%s",status="%s"} 1.0'
    assert counted % ("/api/v1/pods/{name}", 200) in text
    assert counted % ("/api/v1/pods/{name}", 404) in text
    assert counted % ("none", 404) in text
    assert "decube_http_request_duration_seconds_bucket" in text


async def test_metrics_have_no_label_that_a_client_makes_up(api: RestApi) -> None:
    for number in range(20):
        await api.client.get(f"/made/up/{number}")
        await api.client.get(f"{PODS}/p{number}")
    text = (await api.client.get("/metrics")).text
    assert "made" not in text
    assert "p19" not in text


async def test_an_unknown_route_is_told(api: RestApi) -> None:
    for path in ("/api", "/api/v1/pods/a/b", "/docs/../../etc/passwd", "/%00"):
        refusal(await api.client.get(path), 404, "unknown_route")


async def test_another_method_is_told_the_allowed_ones(api: RestApi) -> None:
    answer = await api.client.patch(f"{PODS}/a")
    error = refusal(answer, 405, "method_not_allowed")
    assert {"GET", "PUT", "DELETE"} <= set(error["details"]["allowed"])
    assert set(answer.headers["allow"].split(", ")) == set(error["details"]["allowed"])


async def test_a_request_id_is_made_or_taken_over(api: RestApi) -> None:
    made = [(await api.client.get("/health")).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    sent = {"X-Request-ID": "trace-1/a=b"}
    assert (await api.client.get("/none", headers=sent)).headers["x-request-id"] == "trace-1/a=b"


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", 'a"b', "ä".encode()])
async def test_a_malformed_request_id_is_replaced(api: RestApi, sent: str | bytes) -> None:
    answer = await api.client.get("/health", headers={"X-Request-ID": sent})
    assert re.fullmatch(r"[0-9a-f]{24}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "a.localhost", "LOCALHOST"]
)
async def test_names_of_loopback_are_answered_to(api: RestApi, host: str) -> None:
    assert (await api.client.get("/health", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "[::2]"]
)
async def test_a_rebound_name_is_refused_on_loopback(api: RestApi, host: str) -> None:
    refusal(await api.client.get("/health", headers={"Host": host}), 421, "wrong_host")


async def test_an_allowed_host_is_answered_to() -> None:
    options = RestOptions(listen=ANY_PORT, allowed_hosts=("decube.example",))
    async with rest_api(options) as api:
        answer = await api.client.get("/health", headers={"Host": "decube.example:80"})
        assert answer.status_code == 200


async def test_no_web_page_of_another_origin_may_read_by_default(api: RestApi) -> None:
    origin = {"Origin": "https://page.example"}
    assert "access-control-allow-origin" not in (await api.client.get(PODS, headers=origin)).headers
    asked = await api.client.options(
        PODS, headers={**origin, "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in asked.headers


async def test_pages_of_configured_origins_may_call() -> None:
    options = RestOptions(listen=ANY_PORT, cors_origins=("https://page.example",))
    async with rest_api(options) as api:
        origin = {"Origin": "https://page.example"}
        for path, status in ((PODS, 200), ("/none", 404)):
            answer = await api.client.get(path, headers=origin)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == "https://page.example"
        asked = await api.client.options(
            f"{PODS}/a",
            headers={
                **origin,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "content-type,if-match",
            },
        )
        assert asked.status_code < 300
        assert "PUT" in asked.headers["access-control-allow-methods"]
        other = await api.client.get(PODS, headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers
        none = await api.client.get(PODS)
        # Or a cache would give one origin the answer to another.
        for answered in (answer, asked, other, none):
            assert answered.headers.get_list("vary") == ["Origin"]


async def test_answers_for_every_origin_are_alike() -> None:
    async with rest_api(RestOptions(listen=ANY_PORT, cors_origins=("*",))) as api:
        answer = await api.client.get(PODS, headers={"Origin": "https://page.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "vary" not in answer.headers


async def test_the_docs_page_needs_no_other_site(api: RestApi) -> None:
    page = await api.client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "://" not in page.text
    for part in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert (await api.client.get(part)).status_code == 200, part


async def test_the_docs_page_has_the_parts_that_were_built(api: RestApi) -> None:
    if not (STATIC / "swagger-ui-bundle.js").is_file():
        pytest.skip("the docs page was built without npm")
    for name in ASSETS:
        answer = await api.client.get(f"/docs/{name}")
        assert answer.content == (STATIC / name).read_bytes()
    assert "swagger-ui-bundle.js" in (await api.client.get("/docs")).text


async def test_an_unknown_part_of_the_docs_is_not_found(api: RestApi) -> None:
    for name in ("VERSION", "..%2Fapp.py", "app.py"):
        assert (await api.client.get(f"/docs/{name}")).status_code == 404
