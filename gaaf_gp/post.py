"""The coordinator's side of :mod:`gaaf_gp.sending`: it listens for its own worker processes."""

from __future__ import annotations

import pickle
import secrets
import threading
from collections import Counter
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from typing import Any

from gaaf_gp.sending import Address, Parcel, forget, pack


class Post:
    """Listens for worker processes: they ask for what is in parcels, and say why they must end.

    Attributes:
        sent: token -> how many processes asked for it.
        reasons: name of a call -> why its process was ended.
    """

    def __init__(self) -> None:
        self.sent = Counter[str]()
        self.reasons: dict[str, str] = {}
        self._key = secrets.token_bytes(32)
        self._listener = _listener()
        self._address: Address = self._listener.address
        self._parcels: dict[str, Parcel] = {}
        self._pickles: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def pack(self, thing: Any) -> Parcel:
        """Return what stands for an object in other processes."""
        parcel = pack(thing, self._address, self._key)
        self._parcels[parcel.token] = parcel
        return parcel

    def close(self) -> None:
        """Listen no longer; parcels that were not opened are lost."""
        self._closing = True
        with suppress(OSError, EOFError), Client(self._address):  # wakes the thread
            pass
        self._thread.join()
        self._listener.close()
        for parcel in self._parcels.values():
            forget(parcel.token)
        self._parcels.clear()
        self._pickles.clear()

    def _listen(self) -> None:
        while not self._closing:
            with suppress(OSError, EOFError):
                line = self._listener.accept()
                # a process that says nothing must not keep the others waiting
                threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: Connection) -> None:
        with line, suppress(OSError, EOFError, AuthenticationError):
            deliver_challenge(line, self._key)
            answer_challenge(line, self._key)
            what, *words = line.recv()
            if what == "get":
                line.send_bytes(self._pickled(*words))
            else:
                name, reason = words
                self.reasons[name] = reason
                line.send_bytes(b"heard")

    def _pickled(self, token: str) -> bytes:
        with self._lock:
            self.sent[token] += 1
            if token not in self._pickles:
                self._pickles[token] = pickle.dumps(self._parcels[token].open(), pickle.HIGHEST_PROTOCOL)
            return self._pickles[token]


def _listener() -> Listener:
    try:
        return Listener(backlog=64)
    except OSError:  # such as a folder for temporary files whose name is too long for a socket
        return Listener(("127.0.0.1", 0), backlog=64)
