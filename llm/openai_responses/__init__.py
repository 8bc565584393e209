"""The Responses API of OpenAI, or of any server that speaks it."""

from __future__ import annotations

from llm.openai_responses.model import OpenAIResponses

__all__ = ["OpenAIResponses"]
