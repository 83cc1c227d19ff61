"""Each call once, and not too many of them: asked of Valkey in one round trip, so that it holds for all processes.

The limit is a leaky bucket (GCRA): `calls` at once, then one every `seconds / calls`. Without Valkey nothing is
admitted, as a replay could not be told from a first call.
"""

import time
from dataclasses import dataclass
from functools import cache, lru_cache

import redis
from django.conf import settings

from mailpush.rpc.errors import ApiError
from mailpush.rpc.models import OperationLimit

NONCE_LASTS = 31 * 60  # seconds: a request is fresh for 15 minutes before and after its time stamp
BELIEVED_FOR = 10  # seconds a process keeps an account's own limits without asking again
ACCOUNTS_KEPT = 10_000
FAILURES = 300  # calls from one address that fail to prove who they are …
FAILURES_FORGOTTEN_AFTER = 5 * 60  # … within these seconds, before they are not told any more why

# Returns -1 for a nonce seen before, 0 for go ahead, else the milliseconds to wait.
ADMIT = """
if not redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), now) + interval
if full - burst > now then return math.ceil(full - burst - now) end
redis.call('SET', KEYS[2], string.format('%.3f', full), 'PX', math.ceil(full - now))
return 0
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls within so many seconds."""

    calls: int
    seconds: int = 1


USUAL = Limit(50)  # of operations for which DirectMail documents none


def admit(*, key_id: str, nonce: str, account_id: int, action: str, usual: Limit) -> None:
    """Let a proved call in.

    :raises ApiError: it was made before, or the account calls the operation too often.
    """
    limit = _own_limits(account_id, int(time.monotonic() // BELIEVED_FOR)).get(action, usual)
    wait = _admit(
        keys=[f"mailpush:rpc:nonce:{key_id}:{nonce}", f"mailpush:rpc:rate:{account_id}:{action}"],
        args=[NONCE_LASTS, limit.seconds * 1000 / limit.calls, limit.seconds * 1000],
    )
    if wait < 0:
        raise ApiError("SignatureNonceUsed")
    if wait:
        sentence = f"Request was denied due to user flow control: {action} may be called {limit.calls} times in "
        raise ApiError("Throttling.User", f"{sentence}{limit.seconds} s. Try again in {wait} ms.", retry_after=wait)


def note_failure(peer: str) -> None:
    """Count a call that did not prove who makes it.

    :raises ApiError: there were so many from this address that they look like guessing; calls that can prove
        who makes them are never refused for it.
    """
    key = f"mailpush:rpc:failures:{peer}"
    pipeline = _valkey().pipeline()
    pipeline.set(key, 0, nx=True, ex=FAILURES_FORGOTTEN_AFTER)
    pipeline.incr(key)
    if pipeline.execute()[1] > FAILURES:
        raise ApiError("Throttling.User", retry_after=FAILURES_FORGOTTEN_AFTER * 1000)


class _Limits(dict[str, Limit]):
    """An account's own limits; the one without an operation is the answer for all that have none."""

    def get(self, action: str, usual: Limit) -> Limit:  # type: ignore[override]
        return super().get(action) or super().get("") or usual


@lru_cache(maxsize=ACCOUNTS_KEPT)
def _own_limits(account_id: int, _moment: int) -> _Limits:
    """`_moment` makes a new entry, and so a new look, once in a while."""
    rows = OperationLimit.objects.filter(account=account_id)
    return _Limits({row.operation: Limit(row.calls, row.seconds) for row in rows})


def _admit(*, keys: list[str], args: list[float]) -> int:
    return int(_script()(keys=keys, args=args))


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(settings.MAILPUSH_REDIS_URL, socket_connect_timeout=2, socket_timeout=5)


@cache
def _script() -> redis.commands.core.Script:
    return _valkey().register_script(ADMIT)
