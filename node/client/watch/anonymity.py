"""How many others there are to be mistaken for, as the consensus says."""

from typing import Any


def anonymity(users: int, aim: int) -> dict[str, Any]:
    """What status says about the number of users.

    Args:
        users: about how many are active, from the consensus.
        aim: number that the network aims for.

    Returns:
        `users`, `anonymity` ("ok" or "small") and `warning`, empty when there is none.
    """
    if users >= aim:
        return {"users": users, "anonymity": "ok", "warning": ""}
    return {
        "users": users,
        "anonymity": "small",
        "warning": f"about {users} active users now; below the {aim} this network aims for",
    }
