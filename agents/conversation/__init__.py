"""The agent that talks: it proposes, thinks as far as it may, and replies."""

from __future__ import annotations

from agents.conversation.agent import ConversationAgent
from agents.conversation.desk import Means
from agents.conversation.offers import Offers
from agents.conversation.settings import ConversationSettings

__all__ = ["ConversationAgent", "ConversationSettings", "Means", "Offers"]
