"""From a request's parameters to a GraphQL response: parse, limit, validate, execute, mask."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    validate,
)

from backend.kit.database import interrupted
from backend.kit.errors import CodedError
from backend.kit.graphql.context import RequestContext
from backend.kit.graphql.limits import DEFAULT_LIMITS, Limits, check_size
from backend.kit.graphql.rows import MOST_PROBLEMS, Problem, RowExecutor, problems, set_aside
from backend.kit.graphql.straight import Straight
from backend.kit.graphql.text import check_document, check_variables
from backend.kit.graphql.wording import coded_cause, worded

log = structlog.get_logger()

PARSE_FAILED: Final = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED: Final = "GRAPHQL_VALIDATION_FAILED"
BAD_REQUEST: Final = "BAD_REQUEST"
INTERNAL: Final = "INTERNAL"
MASK: Final = {
    "zh-CN": "服务内部错误，请凭关联号联系运营方。",
    "en": "Something failed inside the service. Quote the correlation id to the operator.",
}


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The parameters of one GraphQL request, as the HTTP or socket layer read them."""

    query: str
    variables: Mapping[str, Any] | None = None
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """`data` is None for a request error: then there is no data entry at all."""

    data: Mapping[str, Any] | None
    errors: Sequence[Mapping[str, Any]] = ()
    request_error: bool = False

    def body(self) -> dict[str, Any]:
        entries: dict[str, Any] = {} if self.request_error else {"data": self.data}
        if self.errors:
            entries = {"errors": list(self.errors), **entries}
        return entries


@dataclass(frozen=True, slots=True)
class _Prepared:
    document: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()
    straight: Straight | None = None


@dataclass(slots=True)
class Executor:
    """Runs documents against one schema. Parsed and validated documents are remembered by their text."""

    schema: GraphQLSchema
    limits: Limits = DEFAULT_LIMITS
    _prepare: Any = field(init=False)

    def __post_init__(self) -> None:
        self._prepare = functools.lru_cache(maxsize=1000)(self._parse_and_validate)

    def operation_type(self, request: GraphQLRequest) -> OperationType | None:
        """Query, mutation or subscription; None when the document does not say which it is."""
        document = self._prepare(request.query).document
        operation = document and get_operation_ast(document, request.operation_name)
        return operation.operation if operation else None

    async def run(self, request: GraphQLRequest, context: RequestContext) -> GraphQLResponse:
        prepared: _Prepared = self._prepare(request.query)
        if prepared.document is None:
            return self._refused(prepared.errors, context)
        if get_operation_ast(prepared.document, request.operation_name) is None:
            problem = GraphQLError(
                "The document must name the operation to run by operationName.",
                extensions={"code": BAD_REQUEST},
            )
            return self._refused((problem,), context)
        variables = dict(request.variables or {})
        try:
            check_variables(variables)
        except CodedError as error:
            return self._refused((_of(error),), context)
        resolved = None
        if prepared.straight is not None:
            answer = await prepared.straight.run(context, variables)
            if isinstance(answer, dict):
                return GraphQLResponse(answer)
            resolved = answer
        result = await self._execute(prepared.document, request, context, variables, root_value=resolved)
        if _not_begun(result):
            wrong = problems(self.schema, prepared.document, request.operation_name, variables)
            aside = set_aside(self.schema, prepared.document, request.operation_name, variables, wrong)
            if aside is None:
                return self._refused(result.errors or (), context, wrong)
            result = await self._execute(
                prepared.document, request, context, aside.variables, executor_class=RowExecutor, aside=aside
            )
        return GraphQLResponse(result.data, [formatted(e, context) for e in result.errors or ()])

    async def _execute(
        self,
        document: DocumentNode,
        request: GraphQLRequest,
        context: RequestContext,
        variables: dict[str, Any],
        **how: Any,
    ) -> ExecutionResult:
        started = execute(
            self.schema,
            document,
            context_value=context,
            variable_values=variables,
            operation_name=request.operation_name,
            **how,
        )
        result = await started if inspect.isawaitable(started) else started
        assert isinstance(result, ExecutionResult)
        return result

    def _refused(
        self, errors: Sequence[GraphQLError], context: RequestContext, wrong: Sequence[Problem] = ()
    ) -> GraphQLResponse:
        """What is wrong with values is named one by one, with the way to each; otherwise the errors as they are."""
        shown = [_value_error(p, context) for p in wrong[:MOST_PROBLEMS]] or [formatted(e, context) for e in errors]
        return GraphQLResponse(None, shown, request_error=True)

    def _parse_and_validate(self, query: str) -> _Prepared:
        try:
            document = parse(query, max_tokens=self.limits.tokens)
            check_size(document, self.limits)
            if "\\u" in query:
                check_document(document)
        except GraphQLSyntaxError as error:
            return _Prepared(None, (error,))
        except RecursionError:
            return _Prepared(
                None, (GraphQLError("The document is nested too deeply.", extensions={"code": PARSE_FAILED}),)
            )
        except CodedError as error:
            return _Prepared(None, (_of(error),))
        errors = validate(self.schema, document, max_errors=20)
        if errors:
            return _Prepared(None, tuple(errors))
        return _Prepared(document, straight=Straight.of(self.schema, document))


def _not_begun(result: ExecutionResult) -> bool:
    """Whether the request was refused before anything of it was executed."""
    return result.data is None and bool(result.errors) and all(e.path is None for e in result.errors or ())


def _value_error(problem: Problem, context: RequestContext) -> dict[str, Any]:
    name, *path = problem.path
    code = problem.error.code
    extensions = {"code": code.name, "retryable": code.retryable, "variable": name, "path": [str(x) for x in path]}
    return {"message": problem.error.message(context.locale), "extensions": extensions}


def _of(error: CodedError) -> GraphQLError:
    return GraphQLError(str(error), original_error=error)


def formatted(error: GraphQLError, context: RequestContext) -> dict[str, Any]:
    """The error as it leaves the house: coded, in the caller's language, and masked when it is not expected."""
    shown: dict[str, Any] = {}
    if error.locations:
        shown["locations"] = [{"line": x.line, "column": x.column} for x in error.locations]
    if error.path:
        shown["path"] = error.path
    return _meaning(error, context) | shown


def _meaning(error: GraphQLError, context: RequestContext) -> dict[str, Any]:
    cause = error.original_error
    expected = coded_cause(error) or interrupted(cause)
    if expected is not None:
        extensions = {"code": expected.code.name, "retryable": expected.code.retryable}
        return {"message": expected.message(context.locale), "extensions": extensions}
    if cause is None or isinstance(cause, GraphQLError):
        code = (error.extensions or {}).get("code") or _code_of(error)
        return {"message": worded(error.message, context.locale), "extensions": {"code": code}}
    log.error("unexpected failure", exc_info=cause, path=error.path)
    extensions = {"code": INTERNAL, "correlationId": context.correlation_id}
    return {"message": MASK[context.locale], "extensions": extensions}


def _code_of(error: GraphQLError) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return PARSE_FAILED
    return VALIDATION_FAILED if error.path is None and error.nodes else BAD_REQUEST
