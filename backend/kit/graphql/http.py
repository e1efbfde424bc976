"""GraphQL over HTTP (the GraphQL Foundation's draft of 2026): media types, status codes, methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from graphql import OperationType
from starlette.requests import Request
from starlette.responses import Response

from backend.kit.database import interrupted
from backend.kit.errors import UNAUTHENTICATED, CodedError, Locale
from backend.kit.graphql.context import RequestContext
from backend.kit.graphql.execute import BAD_REQUEST, Executor, GraphQLRequest, GraphQLResponse

GRAPHQL_JSON: Final = "application/graphql-response+json"
JSON: Final = "application/json"
ContextFactory = Callable[[Request], Awaitable[RequestContext]]


class BadRequestError(Exception):
    """The HTTP request holds no well-formed GraphQL request."""

    def __init__(self, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def endpoint(executor: Executor, make_context: ContextFactory) -> Callable[[Request], Awaitable[Response]]:
    """The Starlette endpoint of `/graphql`."""

    async def serve(request: Request) -> Response:
        try:
            media = negotiate(request.headers.get("accept"))
        except BadRequestError as error:
            return _failure(JSON, error, BAD_REQUEST)
        try:
            asked = await read_request(request, executor.limits.body_bytes)
            _refuse_unsafe_get(request, executor, asked)
            context = await make_context(request)
        except BadRequestError as error:
            return _failure(media, error, BAD_REQUEST)
        except CodedError as error:
            return _coded_failure(media, error, locale_of(request))
        except Exception as error:
            lost = interrupted(error)
            if lost is None:
                raise
            return _coded_failure(media, lost, locale_of(request))
        response = await executor.run(asked, context)
        return respond(media, response)

    return serve


def locale_of(request: Request) -> Locale:
    """zh-CN unless the caller prefers English (Accept-Language)."""
    wanted = _by_preference(request.headers.get("accept-language") or "")
    for language in wanted:
        if language.startswith("zh"):
            return "zh-CN"
        if language.startswith("en"):
            return "en"
    return "zh-CN"


def negotiate(accept: str | None) -> str:
    """The better liked of the two media types we speak; 406 when neither is."""
    if not accept:
        return JSON
    for media in _by_preference(accept):
        if media == GRAPHQL_JSON:
            return GRAPHQL_JSON
        if media in {JSON, "application/*", "*/*"}:
            return JSON
    message = f"Accept must allow {GRAPHQL_JSON} or {JSON}."
    raise BadRequestError(message, 406)


def _by_preference(header: str) -> list[str]:
    weighed: list[tuple[float, int, str]] = []
    for position, item in enumerate(header.split(",")):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if name and weight > 0:
            weighed.append((-weight, position, name.lower()))
    return [name for _, _, name in sorted(weighed)]


async def read_request(request: Request, most_bytes: int) -> GraphQLRequest:
    if request.method == "GET":
        return _from_query_string(request)
    if request.method != "POST":
        raise BadRequestError("Use POST.", 405, {"allow": "GET, POST"})
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.lower().replace(" ", "").removeprefix("charset=").strip('"')
    if media.strip().lower() != JSON or charset not in {"", "utf-8"}:
        message = f"Send the request as {JSON} in UTF-8."
        raise BadRequestError(message, 415)
    return _from_json(await _body(request, most_bytes))


async def _body(request: Request, most_bytes: int) -> bytes:
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            message = f"The request body exceeds {most_bytes} bytes."
            raise BadRequestError(message, 413)
        parts.append(chunk)
    return b"".join(parts)


def _from_json(body: bytes) -> GraphQLRequest:
    try:
        parameters = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"The body is not JSON: {error}."
        raise BadRequestError(message) from error
    if not isinstance(parameters, dict):
        raise BadRequestError("The body must be one JSON object with a `query`.")
    return _checked(parameters)


def _from_query_string(request: Request) -> GraphQLRequest:
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            try:
                parameters[name] = orjson.loads(parameters[name])
            except orjson.JSONDecodeError as error:
                message = f"`{name}` is not JSON: {error}."
                raise BadRequestError(message) from error
    return _checked(parameters)


def _checked(parameters: Mapping[str, Any]) -> GraphQLRequest:
    query = parameters.get("query")
    if not isinstance(query, str) or not query.strip():
        raise BadRequestError("`query` must be a string that holds a GraphQL document.")
    operation_name = parameters.get("operationName")
    if operation_name is not None and not isinstance(operation_name, str):
        raise BadRequestError("`operationName` must be a string or null.")
    for name in ("variables", "extensions"):
        if not isinstance(parameters.get(name) or {}, dict) or isinstance(parameters.get(name), list | str | int):
            message = f"`{name}` must be an object or null."
            raise BadRequestError(message)
    return GraphQLRequest(query, parameters.get("variables"), operation_name or None)


def _refuse_unsafe_get(request: Request, executor: Executor, asked: GraphQLRequest) -> None:
    if request.method == "GET" and executor.operation_type(asked) not in {OperationType.QUERY, None}:
        raise BadRequestError("Only queries may be sent by GET.", 405, {"allow": "POST"})


def respond(media: str, response: GraphQLResponse) -> Response:
    status = 400 if response.request_error else 200
    headers = {"vary": "Accept, Accept-Language, Authorization"}
    return Response(orjson.dumps(response.body()), status, headers, _content_type(media))


def _failure(media: str, error: BadRequestError, code: str) -> Response:
    body = {"errors": [{"message": str(error), "extensions": {"code": code}}]}
    return Response(orjson.dumps(body), error.status, {"vary": "Accept", **error.headers}, _content_type(media))


def _coded_failure(media: str, error: CodedError, locale: Locale) -> Response:
    extensions = {"code": error.code.name, "retryable": error.code.retryable}
    body = {"errors": [{"message": error.message(locale), "extensions": extensions}]}
    status, headers = 403, {"vary": "Accept, Authorization"}
    if error.code.name in {UNAUTHENTICATED.name, "INVALID_TOKEN"}:
        status = 401
        headers["www-authenticate"] = _challenge(error)
    elif error.code.retryable:
        status = 503
    return Response(orjson.dumps(body), status, headers, _content_type(media))


def _challenge(error: CodedError) -> str:
    """RFC 6750 section 3: no error attribute for who sent no token; only the characters it allows for who did."""
    if error.code is UNAUTHENTICATED:
        return 'Bearer realm="tanheng"'
    described = "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in error.message("en"))
    return f'Bearer realm="tanheng", error="invalid_token", error_description="{described}"'


def _content_type(media: str) -> str:
    return f"{media}; charset=utf-8"
