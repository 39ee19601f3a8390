"""What a running client answers about premium payments on its control socket: `pay.*`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.errors import ControlError
from node.io.control import Handler
from node.payments.user.desk import COMMANDS, Command
from node.payments.user.service import Premium
from qnet.address import parse_address


class PaymentCommands:
    """The handlers of one client's wallet, by name.

    Args:
        premium: the wallet, open or not.
    """

    def __init__(self, premium: Premium) -> None:
        self._premium = premium

    def handlers(self) -> dict[str, Handler]:
        """What `ControlServer` serves."""
        return {
            **{f"pay.{name}": self._asking(command) for name, command in COMMANDS.items()},
            "pay.status": self.status,
            "pay.recover": self.recover,
            "pay.exit": self.exit,
        }

    async def status(self, _arguments: Mapping[str, Any]) -> Any:
        """Everything `qnet pay status` shows."""
        return await self._premium.status()

    async def recover(self, _arguments: Mapping[str, Any]) -> Any:
        """Bring the wallet back from its seed."""
        return await self._premium.recover()

    async def exit(self, arguments: Mapping[str, Any]) -> Any:
        """Exit instruments and dispute purchases on chain."""
        to = arguments.get("to")
        if not isinstance(to, str):
            raise ControlError("control argument to is not an address")
        return await self._premium.way_out(parse_address(to))

    def _asking(self, command: Command) -> Handler:
        async def handle(arguments: Mapping[str, Any]) -> Any:
            return await command(self._premium.wallet, arguments)

        return handle
