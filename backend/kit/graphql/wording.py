"""What GraphQL itself says of documents and values, in the caller's language.

The library that validates speaks English only. What people and their programs run into is put in Chinese here; the
rest stays as it is, with its code.
"""

from __future__ import annotations

import re
from typing import Final

from graphql import GraphQLError

from backend.kit.errors import CodedError, Locale, invalid

INVALID_VALUE = invalid("INVALID_VALUE", en="{reason}", zh="{reason_zh}")

_GUESS: Final = r"(?: Did you mean (?P<guess>.+?)\?)?"
_FOUND: Final = r"(?:,? [Ff]ound: (?P<found>.*?))?"
# Expressions of the library's messages, and what they say; the first that fits counts.
_KNOWN: Final = tuple(
    (re.compile(pattern, re.DOTALL), chinese)
    for pattern, chinese in (
        (r"Syntax Error: (?P<why>.*)", "语法错误：{why}"),
        (r"Variable '\$(?P<name>\w+)' has invalid (?:default )?value(?: at '[^']*')?: (?P<rest>.*)", "变量 ${name} 的值有误：{rest}"),  # noqa: E501
        (rf"Cannot query field '(?P<field>\w+)' on type '(?P<type>\w+)'\.{_GUESS}", "类型 {type} 没有字段 {field}。{guess}"),  # noqa: E501
        (rf"Unknown argument '(?P<name>\w+)' on field '(?P<field>[\w.]+)'\.{_GUESS}", "字段 {field} 没有参数 {name}。{guess}"),  # noqa: E501
        (rf"Unknown type '(?P<type>\w+)'\.{_GUESS}", "没有类型 {type}。{guess}"),
        (r"Unknown fragment '(?P<name>\w+)'\.", "没有片段 {name}。"),
        (r"Unknown directive '(?P<name>@\w+)'\.", "没有指令 {name}。"),
        (r"Unknown operation named '(?P<name>\w+)'\.", "没有名为 {name} 的操作。"),
        (r"Argument '(?P<name>[^']+)' of type '(?P<type>[^']+)' is required, but .*", "缺少必填参数 {name}（类型 {type}）。"),  # noqa: E501
        (r"Variable '\$(?P<name>\w+)' is not defined.*", "变量 ${name} 未在操作中声明。"),
        (r"Variable '\$(?P<name>\w+)' is never used.*", "变量 ${name} 已声明但未使用。"),
        (r"Variable '\$(?P<name>\w+)' of type '(?P<type>[^']+)' used in position expecting type '(?P<wanted>[^']+)'\.", "变量 ${name} 的类型为 {type}，此处须为 {wanted}。"),  # noqa: E501
        (r"Field '(?P<field>\w+)' of type '(?P<type>[^']+)' must have a selection of subfields\..*", "字段 {field}（类型 {type}）须选取子字段。"),  # noqa: E501
        (r"Field '(?P<field>\w+)' must not have a selection since type '(?P<type>[^']+)' has no subfields\.", "字段 {field}（类型 {type}）没有子字段，不可选取。"),  # noqa: E501
        (r"Fragment '(?P<name>\w+)' is never used\.", "片段 {name} 未被使用。"),
        (r"Expected a value of non-null type '(?P<type>[^']+)' to be provided\.", "须给出类型为 {type} 的值。"),
        (r"Expected value of non-null type '(?P<type>[^']+)' not to be None\.", "此处须为 {type} 的值，不可为空。"),
        (rf"Expected value of type '(?P<type>[^']+)' to include required field '(?P<field>\w+)'{_FOUND}\.", "类型 {type} 缺少必填字段 {field}。"),  # noqa: E501
        (rf"Expected value of type '(?P<type>[^']+)' not to include unknown field '(?P<field>\w+)'\.?{_GUESS}{_FOUND}\.", "类型 {type} 没有字段 {field}。{guess}"),  # noqa: E501
        (rf"Expected value of type '(?P<type>[^']+)' to be an object{_FOUND}\.", "此处须为 {type} 对象。"),
        (rf"Expected value of type '(?P<type>[^']+)'.*?{_FOUND}\.", "值“{found}”不是 {type}。"),
        (rf"Value '(?P<found>.*?)' does not exist in '(?P<type>\w+)' enum\.{_GUESS}", "枚举 {type} 没有值 {found}。{guess}"),  # noqa: E501
        (rf"Enum '(?P<type>\w+)' cannot represent non-(?:string|enum) value: (?P<found>.*?)\.{_GUESS}", "枚举 {type} 须写其中一个名称，收到 {found}。{guess}"),  # noqa: E501
        (r"Int cannot represent non-integer value: (?P<found>.*)", "此处须为整数，收到 {found}。"),
        (r"Int cannot represent non 32-bit signed integer value: (?P<found>.*)", "整数 {found} 超出 32 位范围。"),
        (r"Float cannot represent non numeric value: (?P<found>.*)", "此处须为数字，收到 {found}。"),
        (r"String cannot represent a non string value: (?P<found>.*)", "此处须为文本（写在引号内），收到 {found}。"),
        (r"Boolean cannot represent a non boolean value: (?P<found>.*)", "此处须为 true 或 false，收到 {found}。"),
        (r"ID cannot represent (?:a non-string and non-integer )?value: (?P<found>.*)", "此处须为标识，收到 {found}。"),
        (r"Too many errors processing variables.*", "变量中的错误过多，已停止检查。"),
        (r"Too many validation errors.*", "文档中的错误过多，已停止检查。"),
        (r"Variable values are nested too deeply\.", "变量嵌套过深。"),
        (r"The document is nested too deeply\.", "文档嵌套过深。"),
        (r"The document must name the operation .*", "须以 operationName 指明文档中要执行的操作。"),
    )
)  # fmt: skip


def unreadable(value: object, en: str, zh: str) -> GraphQLError:
    """Why a scalar cannot read a value: what was written, and the form expected, in both languages."""
    shown = f"{value!s:.60}"
    cause = INVALID_VALUE(reason=f'"{shown}" cannot be read: {en}', reason_zh=f"无法读取“{shown}”：{zh}")
    return GraphQLError(str(cause.params["reason"]), original_error=cause)


def worded(message: str, locale: Locale) -> str:
    """A message of the library in the caller's language, where it is one of the common ones."""
    if locale == "en":
        return message
    for pattern, chinese in _KNOWN:
        found = pattern.fullmatch(message)
        if found:
            said = {name: value or "" for name, value in found.groupdict().items()}
            if said.get("guess"):
                said["guess"] = f"是否指 {said['guess'].replace(' or ', '、')}？"
            if "rest" in said:
                said["rest"] = worded(said["rest"], locale)
            return chinese.format_map(said)
    return message


def coded(error: GraphQLError) -> CodedError:
    """What is wrong with one value, as a coded error that speaks both languages."""
    return coded_cause(error) or INVALID_VALUE(reason=error.message, reason_zh=worded(error.message, "zh-CN"))


def coded_cause(error: BaseException | None) -> CodedError | None:
    """The coded error that one of the library's was made of."""
    while isinstance(error, GraphQLError):
        error = error.original_error
    return error if isinstance(error, CodedError) else None
