"""The Telegram door: updates in, replies and questions out, each exactly once.

``webhook`` or ``polling`` bring updates, which ``reception`` keeps in the store before
anybody hears of them; ``hearing`` lays what people say into the inbox of their
conversation, ``pressing`` turns a button into a vote. What agents reply lies in the
store as well, and ``post`` sends it. One process of many does all this at a time; any
of them answers the webhook.
"""

from __future__ import annotations

from gateways.telegram.bot_api import BotApi, BotApiError
from gateways.telegram.door import open_telegram
from gateways.telegram.office import Office
from gateways.telegram.settings import BASE_URL, TelegramSettings
from gateways.telegram.webhook import PATH, Webhook, webhook

__all__ = [
    "BASE_URL",
    "PATH",
    "BotApi",
    "BotApiError",
    "Office",
    "TelegramSettings",
    "Webhook",
    "open_telegram",
    "webhook",
]
