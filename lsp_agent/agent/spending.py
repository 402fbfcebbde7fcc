"""What sub-agents spend counts for the turn that called them: its usage, its session's cost, its budget (CORE 18).

The price reaches the parent's row in the transaction that writes the child's, so nothing is lost by a crash and nothing
is counted twice. This here is the same figure on its way to the parent's turn, which announces it.
"""

from typing import Protocol
from weakref import WeakValueDictionary

from lsp_agent.domain.usage import Usage


class Payer(Protocol):
    """A turn that pays for its sub-agents."""

    def spent_by_child(self, usage: Usage) -> None:
        """A step of a sub-agent cost this. Ignored once the turn is over."""
        ...

    @property
    def left_usd(self) -> float | None:
        """What is left of the run's budget; None = it has none."""
        ...


class Spending:
    """The turns that run now, by session. Holds none of them alive."""

    def __init__(self) -> None:
        self._payers: WeakValueDictionary[str, Payer] = WeakValueDictionary()

    def enter(self, session_id: str, payer: Payer) -> None:
        """`payer` is the session's turn from now on."""
        self._payers[session_id] = payer

    def tell(self, session_id: str, usage: Usage) -> None:
        """A sub-agent of this session consumed `usage`."""
        payer = self._payers.get(session_id)
        if payer is not None:
            payer.spent_by_child(usage)

    def left_usd(self, session_id: str) -> float | None:
        """The rest of the budget of the session's turn; None = no limit, or no turn."""
        payer = self._payers.get(session_id)
        return payer.left_usd if payer is not None else None
