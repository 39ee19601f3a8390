"""The asyncio shells around the protocol cores."""
