"""One of several nodes on one store leads: it runs the background work that must run once.

`election` is the key and what may be done with it, `leadership` the task that follows, campaigns
and leads, `fenced` the store that a leader writes through. On an embedded store there is one node,
which leads at once and needs none of it.
"""

from __future__ import annotations

from decube.services.leadership.election import ELECTION_KEY, Candidate
from decube.services.leadership.fenced import FencedStore
from decube.services.leadership.leadership import Leadership

__all__ = ["ELECTION_KEY", "Candidate", "FencedStore", "Leadership"]
