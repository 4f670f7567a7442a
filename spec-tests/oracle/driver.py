"""Answers, with Synapse's own public functions, what our pure functions answer too.

One JSON request a line on stdin, `{"op": …, "items": [...]}`; one JSON line on stdout for each,
`{"results": [...]}`, in the same order. Events come as JSON text, so that what is a float and what is
an integer is Synapse's to see. A result of `{"refused": "<exception>"}` is a refusal, whoever threw.
"""

import hashlib
import json
import logging
import sys
import time

from canonicaljson import encode_canonical_json
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import (
    check_event_content_hash,
    compute_content_hash,
    compute_event_reference_hash,
)
from synapse.event_auth import (
    check_state_dependent_auth_rules,
    check_state_independent_auth_rules,
)
from synapse.events import make_event_from_dict
from synapse.events.utils import prune_event, validate_canonicaljson
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference
from unpaddedbase64 import encode_base64

logging.disable(logging.CRITICAL)

# More auth paths than this below an event, and Synapse's way through events it holds in memory, which
# visits each path and not each event, takes too long.
MAX_PATHS = 3000


def run(coroutine):
    """Runs a coroutine that never waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the coroutine waits")


def refusal(error):
    return {"refused": type(error).__name__, "reason": str(error)[:300]}


def verdict(check):
    try:
        check()
        return {"allowed": True}
    except Exception as error:  # A malformed event may be refused by whatever it trips over.
        return {"allowed": False, **refusal(error)}


def canonical(item):
    try:
        value = json.loads(item["text"])
        json_text = encode_canonical_json(value).decode("utf-8")
    except Exception as error:
        return refusal(error)
    try:
        validate_canonicaljson(value)
        strict = True
    except Exception:
        strict = False
    return {"json": json_text, "strict": strict}


def event(item):
    version = KNOWN_ROOM_VERSIONS[item["version"]]
    try:
        wire = json.loads(item["text"])
        made = make_event_from_dict(wire, version)
        redacted = prune_event(made).get_pdu_json()
        redacted.pop("unsigned", None)
        answer = {
            "eventId": made.event_id,
            "contentHash": encode_base64(compute_content_hash(wire, hashlib.sha256)[1]),
            "referenceHash": encode_base64(compute_event_reference_hash(made)[1]),
            "redacted": encode_canonical_json(redacted).decode("utf-8"),
        }
    except Exception as error:
        return refusal(error)
    try:
        answer["hashMatches"] = check_event_content_hash(made)
    except Exception:
        answer["hashMatches"] = False
    return answer


class Room:
    """The events of a request, standing in for Synapse's database."""

    def __init__(self, version, pool, rejected):
        self.version = KNOWN_ROOM_VERSIONS[version]
        rejected = set(rejected)
        self.events = {}
        self.order = []
        for index, text in enumerate(pool):
            reason = "auth_error" if index in rejected else None
            made = make_event_from_dict(json.loads(text), self.version, rejected_reason=reason)
            self.events[made.event_id] = made
            self.order.append(made)
        self.difference = None

    async def get_events(self, event_ids, *_, **__):
        return {i: self.events[i] for i in event_ids if i in self.events}

    async def get_auth_chain_difference(self, *_):
        return self.difference or StateDifference(set(), set())

    async def sleep(self, *_):
        return None

    def with_chain(self, ids):
        seen, pending = set(), list(ids)
        while pending:
            event_id = pending.pop()
            if event_id in seen or event_id not in self.events:
                continue
            seen.add(event_id)
            pending.extend(self.events[event_id].auth_event_ids())
        return seen

    def work_out_difference(self, sets):
        """What Synapse asks its database for, straight from the definitions."""
        chains = [self.with_chain(state.values()) for state in sets]
        difference = set.union(*chains) - set.intersection(*chains)
        keys = {key for state in sets for key in state}
        conflicted = {
            state[key]
            for key in keys
            for state in sets
            if key in state and len({other.get(key) for other in sets}) > 1
        }
        subgraph = set(conflicted)
        below = self.with_chain(conflicted)
        cited_by = {}
        for event_id in below:
            for auth_id in self.events[event_id].auth_event_ids():
                cited_by.setdefault(auth_id, []).append(event_id)
        pending = list(conflicted)
        while pending:
            for citing in cited_by.get(pending.pop(), []):
                if citing not in subgraph:
                    subgraph.add(citing)
                    pending.append(citing)
        self.difference = StateDifference(difference, subgraph)

    def too_many_paths(self):
        paths = {}
        for made in self.order:
            paths[made.event_id] = 1 + sum(paths.get(i, 0) for i in made.auth_event_ids())
        return max(paths.values()) > MAX_PATHS

    def state(self, indices):
        found = (self.order[index] for index in indices)
        return {(made.type, made.state_key): made.event_id for made in found}

    def resolve(self, sets, in_memory):
        room_id = self.order[0].room_id
        held = dict(self.events) if in_memory else None
        if item_is_v1(self.version):
            return run(
                v1.resolve_events_with_store(room_id, self.version, sets, held, self.get_events)
            )
        return run(
            v2.resolve_events_with_store(self, room_id, self.version, sets, held, self)
        )


def item_is_v1(version):
    return version.identifier == "1"


def authorise(item):
    """Verdicts on events of one room: by their auth events, and by a state of the room."""
    room = Room(item["version"], item["pool"], item["rejected"])
    results = []
    for case in item["cases"]:
        try:
            made = make_event_from_dict(json.loads(case["text"]), room.version)
        except Exception as error:
            results.append(refusal(error))
            continue
        state = [room.order[index] for index in case["state"]]
        results.append(
            {
                "byAuthEvents": verdict(
                    lambda: run(check_state_independent_auth_rules(room, made))
                ),
                "byState": verdict(lambda: check_state_dependent_auth_rules(made, state)),
            }
        )
    return results


def resolve(item):
    """The resolved state of sets, each a list of places in the pool."""
    room = Room(item["version"], item["pool"], item["rejected"])
    sets = [room.state(indices) for indices in item["sets"]]
    in_memory = not room.too_many_paths()
    try:
        if not in_memory:
            room.work_out_difference(sets)
        resolved = room.resolve(sets, in_memory)
    except Exception as error:
        return refusal(error)
    state = sorted([key[0], key[1], event_id] for key, event_id in resolved.items())
    return {"state": state, "inMemory": in_memory}


def time_resolve(item):
    """CPU milliseconds of resolving, each time, without what Synapse asks its database for."""
    room = Room(item["version"], item["pool"], item["rejected"])
    sets = [room.state(indices) for indices in item["sets"]]
    room.work_out_difference(sets)
    milliseconds = []
    for _ in range(item["repeat"]):
        start = time.process_time()
        resolved = dict(room.resolve(sets, False))
        milliseconds.append((time.process_time() - start) * 1000)
    state = sorted([key[0], key[1], event_id] for key, event_id in resolved.items())
    digest = hashlib.sha256(json.dumps(state).encode("utf-8")).hexdigest()
    return {"milliseconds": milliseconds, "digest": digest}


OPERATIONS = {
    "canonical": canonical,
    "event": event,
    "authorise": authorise,
    "resolve": resolve,
    "time": time_resolve,
}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        answer = OPERATIONS[request["op"]]
        results = [answer(item) for item in request["items"]]
        sys.stdout.write(json.dumps({"results": results}) + "\n")
        sys.stdout.flush()


main()
