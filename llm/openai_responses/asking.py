"""A request in the words of the Responses API; pure."""

from __future__ import annotations

from typing import assert_never

from contracts import (
    FunctionCall,
    FunctionResult,
    FunctionTool,
    JsonObject,
    ModelRequest,
    PromptItem,
    SaidText,
)


def body_of(request: ModelRequest, model: str) -> JsonObject:
    """What is posted. Our history is the truth: no earlier response is named."""
    body: JsonObject = {
        "model": model,
        "instructions": request.instructions,
        "input": [_item(item) for item in request.input],
        "max_output_tokens": request.max_output_tokens,
        "stream": True,
        "store": True,
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]

    if request.output_schema is not None:
        body["text"] = {"format": _format(request.schema_name, request.output_schema)}

    if request.temperature is not None:
        body["temperature"] = request.temperature

    return body


def _item(item: PromptItem) -> JsonObject:
    match item:
        case SaidText(role=role, text=text):
            return {"role": role, "content": text}
        case FunctionCall(call_id=call_id, name=name, arguments=arguments):
            return {
                "type": "function_call",
                "call_id": call_id,
                "name": name,
                "arguments": arguments,
            }
        case FunctionResult(call_id=call_id, output=output):
            return {
                "type": "function_call_output",
                "call_id": call_id,
                "output": output,
            }
        case _:
            assert_never(item)


def _tool(tool: FunctionTool) -> JsonObject:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": _is_strict(tool.parameters),
    }


def _format(name: str, schema: JsonObject) -> JsonObject:
    return {
        "type": "json_schema",
        "name": name,
        "schema": schema,
        "strict": _is_strict(schema),
    }


def _is_strict(schema: object) -> bool:
    """Whether a provider can hold the model to it: closed, and all of it required."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))

    if not isinstance(schema, dict):
        return True

    if schema.get("type") == "object" or "properties" in schema:
        names = set(schema.get("properties", {}))
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != names:
            return False

    return all(map(_is_strict, schema.values()))
