"""The routes of pods: `/api/v1/pods` and `/api/v1/pods/{name}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from litestar import delete, get, post, put
from litestar.params import RawBody
from litestar.types import ASGIApp, Scope
from msgspec import UNSET, UnsetType

from decube.api.rest.answers import Header, json_answer
from decube.api.rest.bodies import BodyReader
from decube.api.rest.options import allow
from decube.api.rest.queries import read_boolean, read_count, read_is_local, read_query
from decube.api.rest.shapes import (
    Deleted,
    PodCreation,
    PodFound,
    PodList,
    PodStored,
    PodUpdate,
)
from decube.api.rest.watch_stream import WatchStream
from decube.kit.errors import Invalid
from decube.model.names import NAMESPACE_DEFAULT, shown
from decube.model.pod import PodView, view_of
from decube.model.selector_text import parse_selector
from decube.services.pods import PodChange, PodDraft

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.handlers import HTTPRouteHandler

    from decube.api.rest.drain import Drain
    from decube.services.pods import PodService

LIST_PATH = "/api/v1/pods"
POD_PATH = "/api/v1/pods/{name:str}"
LIST_PARAMETERS = (
    "namespace",
    "label_selector",
    "limit",
    "continue",
    "watch",
    "resource_version",
    "consistency",
)
POD_PARAMETERS = ("namespace", "consistency")
CHANGE_PARAMETERS = ("namespace", "resource_version")

_OK, _CREATED = 200, 201
# Bare digits are no ETag, but what people type, and mean.
_ENTITY_TAG = re.compile(r'(?P<quote>"?)(?P<version>[0-9]+)(?P=quote)')
_creations = BodyReader(PodCreation)
_updates = BodyReader(PodUpdate)


class PodRoutes:
    """Handlers over the pod service."""

    def __init__(self, pods: PodService, drain: Drain, bookmark_interval_s: float) -> None:
        self._pods = pods
        self._drain = drain
        self._bookmark_interval_s = bookmark_interval_s

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return what the application routes to."""
        return [
            # Before the others, for each of which the framework would make its own.
            allow(LIST_PATH, "GET", "POST"),
            allow(POD_PATH, "GET", "PUT", "DELETE"),
            get(LIST_PATH)(self.list_pods),
            post(LIST_PATH)(self.create_pod),
            get(POD_PATH)(self.get_pod),
            put(POD_PATH)(self.update_pod),
            delete(POD_PATH, status_code=_OK)(self.delete_pod),
        ]

    async def get_pod(self, scope: Scope) -> ASGIApp:
        """Read a pod."""
        parameters = read_query(scope, POD_PARAMETERS)
        namespace = parameters.get("namespace", NAMESPACE_DEFAULT)
        local = read_is_local(parameters)
        view = view_of(await self._pods.get(namespace, scope["path_params"]["name"], local=local))
        return json_answer(_OK, PodFound(view), _etag(view))

    async def list_pods(self, scope: Scope) -> ASGIApp:
        """Read a page of pods, or watch them."""
        parameters = read_query(scope, LIST_PARAMETERS)
        if read_boolean(parameters, "watch"):
            return self._watch(parameters)
        if parameters.get("resource_version"):
            raise Invalid(
                "resource_version goes with watch=true: pages of a list use continue",
                field="resource_version",
            )
        page = await self._pods.list(
            parameters.get("namespace", ""),
            parse_selector(parameters.get("label_selector", "")),
            limit=read_count(parameters, "limit"),
            continue_token=parameters.get("continue", ""),
            local=read_is_local(parameters),
        )
        pods = [view_of(pod) for pod in page.items]
        return json_answer(
            _OK,
            PodList(
                pods,
                len(pods),
                str(page.resource_version),
                page.continue_token,
                page.unreadable,
                page.unreadable_names,
            ),
        )

    async def create_pod(self, scope: Scope, body: RawBody) -> ASGIApp:
        """Create a pod."""
        read_query(scope, ())
        creation = _creations.read(scope, body)
        if not creation.name:
            raise Invalid("name is required", field="name")
        if creation.resource_version not in ("", "0"):
            raise Invalid(
                "resource_version must be empty: a pod to be created has none",
                field="resource_version",
            )
        draft = PodDraft(
            name=creation.name,
            namespace=creation.namespace,
            status=creation.status,
            node_name=creation.node_name,
            labels=creation.labels,
            annotations=creation.annotations,
        )
        view = view_of(await self._pods.create(draft))
        return json_answer(_CREATED, PodStored(view), _etag(view))

    async def update_pod(self, scope: Scope, body: RawBody) -> ASGIApp:
        """Merge fields into a pod."""
        parameters = read_query(scope, CHANGE_PARAMETERS)
        namespace = parameters.get("namespace") or NAMESPACE_DEFAULT
        name = scope["path_params"]["name"]
        update = _updates.read(scope, body)
        _check_same("name", update.name, name)
        _check_same(
            "namespace",
            NAMESPACE_DEFAULT if update.namespace == "" else update.namespace,
            namespace,
        )
        change = PodChange(
            status=update.status,
            node_name=update.node_name,
            labels=update.labels,
            annotations=update.annotations,
        )
        wanted = _wanted_version(
            scope, parameters.get("resource_version", ""), update.resource_version
        )
        view = view_of(await self._pods.update(namespace, name, change, resource_version=wanted))
        return json_answer(_OK, PodStored(view), _etag(view))

    async def delete_pod(self, scope: Scope) -> ASGIApp:
        """Delete a pod."""
        parameters = read_query(scope, CHANGE_PARAMETERS)
        wanted = _wanted_version(scope, parameters.get("resource_version", ""))
        deleted = await self._pods.delete(
            parameters.get("namespace", ""), scope["path_params"]["name"], resource_version=wanted
        )
        return json_answer(_OK, Deleted(deleted))

    def _watch(self, parameters: Mapping[str, str]) -> ASGIApp:
        for name in ("limit", "continue"):
            if name in parameters:
                raise Invalid(f"{name} does not go with watch=true", field=name)
        seen = parameters.get("resource_version", "")
        watch = self._pods.watch(
            parameters.get("namespace", ""),
            parse_selector(parameters.get("label_selector", "")),
            resource_version=seen,
        )
        return WatchStream(
            watch, None if seen in ("", "0") else seen, self._drain, self._bookmark_interval_s
        )


def _etag(view: PodView) -> Header:
    return (b"etag", f'"{view.resource_version}"'.encode())


def _check_same(field: str, given: str | UnsetType, addressed: str) -> None:
    if given is not UNSET and given != addressed:
        raise Invalid(
            f"{field} {shown(given)} is not that of the URL, {shown(addressed)}: it cannot change",
            field=field,
        )


def _wanted_version(scope: Scope, *given: str) -> str:
    """Return the one version that the request names, by If-Match or otherwise; "" for any."""
    wanted = {version for version in (*given, _if_match(scope)) if version}
    if len(wanted) > 1:
        raise Invalid(
            f"resource_version and If-Match differ: {', '.join(sorted(wanted))}",
            field="resource_version",
        )
    return wanted.pop() if wanted else ""


def _if_match(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"if-match":
            text = value.decode("latin-1").strip()
            if text == "*":
                return ""
            if tag := _ENTITY_TAG.fullmatch(text):
                return tag["version"]
            raise Invalid(
                f'If-Match {shown(text)} is not one ETag of this API, such as "12", nor *',
                field="If-Match",
            )
    return ""
