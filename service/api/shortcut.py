"""The short way to an endpoint whose parameters are plain.

FastAPI finds out for every request anew what an endpoint takes, which costs as much as the query behind it. For an endpoint
that takes the request, its transaction, ids of the path, texts of headers and one body, and answers with a response of its
own making, nothing is left to find out.
Whatever is not as it should be goes the long way, so that FastAPI says what is wrong with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine
from typing import Any, cast, get_type_hints

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.responses import Response

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def shortcut(needs: Dependant, endpoint: Callable[..., Any], solved: Handler, *, work: str) -> Handler:
    """A handler for `endpoint`, which `needs` describes. `solved` is the long way, `work` the place of the transaction."""
    if not _is_plain(needs) or get_type_hints(endpoint).get("return") is not Response:
        return solved
    ids = [one.name for one in needs.path_params]
    headers = [(one.name, one.alias) for one in needs.header_params]
    body = needs.body_params[0] if needs.body_params else None
    model = cast(type[BaseModel], body.field_info.annotation) if body else None
    request_name, work_name = needs.request_param_name, needs.dependencies[0].name

    async def handler(request: Request) -> Response:
        values: dict[str, Any] = {}
        try:
            for name in ids:
                values[name] = uuid.UUID(request.path_params[name])
            if model is not None and body is not None:
                if request.headers.get("content-type") != "application/json":
                    return await solved(request)
                values[body.name] = model.model_validate_json(await request.body())
        except ValueError:  # pydantic's ValidationError is one
            return await solved(request)
        for name, alias in headers:
            values[name] = request.headers.get(alias)
        if request_name is not None:
            values[request_name] = request
        if work_name is not None:
            values[work_name] = request.scope[work]
        response: Response = await endpoint(**values)
        return response

    return handler


def _is_plain(needs: Dependant) -> bool:
    bodies = [one.field_info.annotation for one in needs.body_params]
    return (
        len(needs.dependencies) == 1
        and not needs.query_params
        and not needs.cookie_params
        and all(one.field_info.annotation is uuid.UUID for one in needs.path_params)
        and all(one.field_info.annotation is str for one in needs.header_params)
        and (not bodies or (len(bodies) == 1 and isinstance(bodies[0], type) and issubclass(bodies[0], BaseModel)))
    )
