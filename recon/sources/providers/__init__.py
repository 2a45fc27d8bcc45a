"""What providers say of payments, one folder for each provider."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.sources.providers.webhooks import verify_webhook

__all__ = [
    "verify_webhook",
]

__getattr__ = names_from(
    {
        "verify_webhook": "recon.sources.providers.webhooks",
    }
)
