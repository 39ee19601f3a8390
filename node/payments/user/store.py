"""The state of a premium wallet: one SQLite file, one owner, every change on disk before it counts.

A request and all it takes and makes are stored in one transaction before it is sent, an answer
after it was verified; whoever is killed in between sends the same request again and gets the same
answer. A file that was cut off or changed is refused as a whole and left as it is.

Source: docs/spec/payments.md, QN-PAY-081.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from node.errors import WalletDamagedError, WalletMissingError
from node.payments.user.derivation import Slot
from node.payments.user.rows import (
    INSTRUMENT_COLUMNS,
    REQUEST_COLUMNS,
    instrument_from,
    instrument_row,
    request_from,
    request_row,
)
from node.payments.user.states import ALLOWED, Instrument, Request, RequestKind, RequestState, State
from node.payments.user.wallet_file import FILE, SCHEMA_VERSION, damaged, open_file, take_lock
from qnet.errors import LocalProtocolError, QnetError


class Store:
    """The opened file of a wallet; safe to call from worker threads.

    Args:
        folder: of the wallet.
        owner: address of the channel, 20 bytes: the file belongs to this seed alone.

    Raises:
        WalletMissingError: there is none.
        WalletBusyError: another program has it open.
        WalletDamagedError: it is cut off, changed, or of another seed.
    """

    def __init__(self, folder: Path, owner: bytes) -> None:
        self._path = folder / FILE
        if not self._path.exists():
            raise WalletMissingError(f"no premium wallet in {folder}", try_=("qnet pay init",))
        self._guard = threading.RLock()
        self._lock = take_lock(folder)
        try:
            self._db = open_file(self._path)
            self._check(owner)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Release the file; closing twice does no harm."""
        with self._guard:
            self._db.close()
            lock, self._lock = self._lock, -1
            if lock >= 0:
                os.close(lock)

    # instruments

    def instruments(self, *states: State) -> list[Instrument]:
        """Those in one of the states, or all, by slot."""
        return list(map(instrument_from, self._select("instruments", INSTRUMENT_COLUMNS, states)))

    def instrument(self, slot: Slot) -> Instrument | None:
        """The instrument of a slot."""
        names = ", ".join((*INSTRUMENT_COLUMNS, "seal"))
        query = f"SELECT {names} FROM instruments WHERE epoch=? AND class=? AND counter=?"  # noqa: S608 - constants
        with self._guard:
            row = self._db.execute(query, (slot.epoch, slot.class_, slot.counter)).fetchone()
        return None if row is None else instrument_from(row)

    def next_counter(self, epoch: int, class_: int) -> int:
        """First counter of an epoch and class that no slot has."""
        with self._guard:
            (last,) = self._db.execute(
                "SELECT max(counter) FROM instruments WHERE epoch=? AND class=?", (epoch, class_)
            ).fetchone()
        return 0 if last is None else int(last) + 1

    def change(
        self, slot: Slot, state: State, *, k: int | None = None, last: int | None = None
    ) -> Instrument:
        """Store another state of an instrument.

        Args:
            slot: its place.
            state: the new state.
            k: units that were shown; as they are if None.
            last: k at which a token retires; as it is if None.

        Raises:
            LocalProtocolError: the change is not allowed, or k would fall.
        """
        with self._transaction():
            known = self._known(slot)
            if k is not None and k < known.k:
                raise LocalProtocolError("units that were shown cannot be taken back")
            return self._change(
                replace(
                    known,
                    k=known.k if k is None else k,
                    last=known.last if last is None else last,
                ),
                state,
            )

    def add(self, found: Iterable[Instrument]) -> None:
        """Store instruments that were found again from the seed; known ones stay as they are."""
        with self._transaction():
            for instrument in found:
                if self.instrument(instrument.slot) is None:
                    self._put(instrument)

    # requests

    def begin(self, request: Request) -> Request:
        """Store a request, what it takes and what it will make.

        Raises:
            LocalProtocolError: an input is not free, a slot is taken, or the nonce is.
        """
        with self._transaction():
            names = [name for name in (*REQUEST_COLUMNS, "seal") if name != "number"]
            marks = ", ".join("?" * len(names))
            try:
                cursor = self._db.execute(
                    f"INSERT INTO requests({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - constants
                    request_row(request)[1:],
                )
            except sqlite3.IntegrityError:
                raise LocalProtocolError("a voucher of this nonce is stored") from None
            stored = replace(request, number=int(cursor.lastrowid or 0))
            for blank in request.blanks:
                if self.instrument(blank.slot) is not None:
                    raise LocalProtocolError("the slot of an output is taken")
                self._put(
                    Instrument(blank.slot, State.REQUESTED, blank.relay, request=stored.number)
                )
            for slot in request.inputs:
                known = self._known(slot)
                self._change(replace(known, was=known.state, used=stored.number), State.SWAPPING)
        return stored

    def mark_sent(self, number: int) -> None:
        """Remember, before it happens, that members may hear of a request."""
        with self._transaction():
            self._update(replace(self.request(number), sent=True))

    def finish(self, number: int, signatures: Sequence[bytes], *, at: float) -> None:
        """Store what came out of a request; its inputs are gone, a purchase leaves a receipt."""
        with self._transaction():
            request = self.request(number)
            if request.state is RequestState.DONE:
                return
            for blank, signature in zip(request.blanks, signatures, strict=True):
                known = self._known(blank.slot)
                self._put(replace(known, state=State.HELD, signature=signature))
            for slot in request.inputs:
                self._change(self._known(slot), State.SWAPPED)
            self._update(replace(request, state=RequestState.DONE))
            if request.kind is RequestKind.BUY:
                self._db.execute(
                    "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?)",
                    (request.nonce, int(at), request.epoch, len(request.blanks), str(request.wei)),
                )

    def fail(self, number: int, why: str, *, stuck: Collection[Slot] = ()) -> None:
        """Give a request up.

        Args:
            number: of it.
            why: in words.
            stuck: inputs that members take for spent; the others are free again.
        """
        with self._transaction():
            request = self.request(number)
            if request.state is not RequestState.OPEN:
                return
            for blank in request.blanks:
                self._change(self._known(blank.slot), State.VOID)
            for slot in request.inputs:
                known = self._known(slot)
                if slot in stuck:
                    self._change(known, State.STUCK)
                else:
                    self._put(replace(known, state=known.was or State.HELD))
            self._update(replace(request, state=RequestState.FAILED, why=why))

    def request(self, number: int) -> Request:
        """A request by its number.

        Raises:
            LocalProtocolError: there is none.
        """
        names = ", ".join((*REQUEST_COLUMNS, "seal"))
        with self._guard:
            row = self._db.execute(
                f"SELECT {names} FROM requests WHERE number = ?",  # noqa: S608 - constants
                (number,),
            ).fetchone()
        if row is None:
            raise LocalProtocolError(f"there is no request {number}")
        return request_from(row)

    def requests(self, *states: RequestState) -> list[Request]:
        """Those in one of the states, or all, oldest first."""
        return list(map(request_from, self._select("requests", REQUEST_COLUMNS, states)))

    # receipts and notes

    def receipts(self) -> list[dict[str, int]]:
        """Purchases as the user is shown them, oldest first."""
        names = ("nonce", "at", "epoch", "credits", "wei")
        with self._guard:
            rows = self._db.execute(f"SELECT {', '.join(names)} FROM receipts ORDER BY nonce")  # noqa: S608 - constants
            return [dict(zip(names, map(int, row), strict=True)) for row in rows]

    def forget_receipts(self, before: float) -> int:
        """Delete all receipts, and the purchases behind them but those since `before`.

        The last voucher stays, because the next one counts on. Returns how many receipts went.
        """
        with self._transaction():
            self._db.execute(
                "DELETE FROM requests WHERE state = 'done' AND at < ? AND nonce > 0 AND nonce < "
                "(SELECT max(nonce) FROM requests)",
                (before,),
            )
            return self._db.execute("DELETE FROM receipts").rowcount

    def forget_epochs(self, before: int) -> None:
        """Delete what is of epochs of which members keep nothing, but what is under way."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM instruments WHERE epoch < ? AND state NOT IN ('exiting', 'swapping')",
                (before,),
            )
            self._db.execute(
                "DELETE FROM requests WHERE epoch < ? AND state != 'open' AND nonce < "
                "(SELECT coalesce(max(nonce), 0) FROM requests)",
                (before,),
            )

    def note(self, name: str, value: bytes) -> None:
        """Keep one value under a name."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> bytes | None:
        """The value kept under a name."""
        with self._guard:
            row = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    # inside

    def _select(self, table: str, columns: Sequence[str], states: Sequence[str]) -> list[Any]:
        names = ", ".join((*columns, "seal"))
        where = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        order = "number" if table == "requests" else "epoch, class, counter"
        query = f"SELECT {names} FROM {table} {where} ORDER BY {order}"  # noqa: S608 - constants
        with self._guard:
            return self._db.execute(query, tuple(states)).fetchall()

    def _known(self, slot: Slot) -> Instrument:
        found = self.instrument(slot)
        if found is None:
            raise LocalProtocolError("the wallet has no such instrument")
        return found

    def _change(self, known: Instrument, state: State) -> Instrument:
        if state not in ALLOWED[known.state]:
            raise LocalProtocolError(f"an instrument that is {known.state} cannot be {state}")
        changed = replace(known, state=state)
        self._put(changed)
        return changed

    def _put(self, instrument: Instrument) -> None:
        names = (*INSTRUMENT_COLUMNS, "seal")
        self._db.execute(
            f"INSERT OR REPLACE INTO instruments({', '.join(names)}) "  # noqa: S608 - constants
            f"VALUES ({', '.join('?' * len(names))})",
            instrument_row(instrument),
        )

    def _update(self, request: Request) -> None:
        *values, seal = request_row(request)
        assignments = ", ".join(f"{name} = ?" for name in (*REQUEST_COLUMNS, "seal"))
        self._db.execute(
            f"UPDATE requests SET {assignments} WHERE number = ?",  # noqa: S608 - constants
            (*values, seal, request.number),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _check(self, owner: bytes) -> None:
        """Read everything once: what cannot be read now must not surprise later."""
        try:
            (found,) = self._db.execute("PRAGMA integrity_check").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if found != "ok" or version != SCHEMA_VERSION:
                raise damaged(self._path, str(found).splitlines()[0][:100])
            self.instruments()
            self.requests()
            if self.noted("owner") != owner:
                raise damaged(self._path, "it belongs to another seed")
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise damaged(self._path, str(error)) from error
        except QnetError as error:
            if isinstance(error, WalletDamagedError):
                raise
            raise damaged(self._path, error.message) from error
