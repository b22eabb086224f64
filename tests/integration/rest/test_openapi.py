"""The OpenAPI document says what the routes do."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from tests.support.api import ANY_PORT, NODE, services

from decube.api.rest import RestDependencies, RestOptions, create_app

if TYPE_CHECKING:
    from tests.support.api import RestApi

NOT_DESCRIBED = re.compile(r"/docs.*|/openapi\.json")


async def test_every_built_route_is_described_and_no_other(api: RestApi) -> None:
    async with services(api.store, CollectorRegistry()) as all_services:
        app = create_app(
            RestDependencies(services=all_services, node=NODE, options=RestOptions(listen=ANY_PORT))
        )
    routed = {
        (re.sub(r":str}", "}", route.path), method.lower())
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and not NOT_DESCRIBED.fullmatch(route.path)
    }
    document = (await api.client.get("/openapi.json")).json()
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert described == routed


async def test_every_reference_leads_somewhere(api: RestApi) -> None:
    answer = await api.client.get("/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    references = set(re.findall(r'"\$ref":"([^"]*)"', answer.text))
    assert references
    assert references <= {f"#/components/schemas/{name}" for name in schemas}


@pytest.mark.parametrize("field", ["labels", "annotations"])
@pytest.mark.parametrize(
    ("key", "is_valid"),
    [
        ("app", True),
        ("app.kubernetes.io/name", True),
        ("x" * 63, True),
        ("x" * 64, False),
        ("/name", False),
        ("example.com/", False),
        ("a/b/c", False),
        ("-app", False),
    ],
)
async def test_keys_are_described_as_they_are_checked(
    api: RestApi, field: str, key: str, *, is_valid: bool
) -> None:
    document = (await api.client.get("/openapi.json")).json()
    described = document["components"]["schemas"]["PodCreation"]["properties"][field]
    assert bool(re.search(described["propertyNames"]["pattern"], key)) == is_valid
    created = await api.client.post("/api/v1/pods", json={"name": "web", field: {key: "x"}})
    assert (created.status_code == HTTPStatus.CREATED) == is_valid


async def test_the_documents_version_is_the_products(api: RestApi) -> None:
    document = (await api.client.get("/openapi.json")).json()
    assert document["info"]["version"] == NODE.info.version
