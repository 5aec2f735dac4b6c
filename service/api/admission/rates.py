"""How often a tenant may ask: counted in Redis by all APIs together, or here where there is none."""

from __future__ import annotations

import logging
import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from service.api.admission.quotas import Policy

log = logging.getLogger("eigenpress.api")
TIMEOUT_SECONDS = 0.5
ALONE_SECONDS = 30.0  # how long to count here after Redis did not answer


class RateLimits:
    """A sliding minute for each tenant."""

    def __init__(self, requests_per_minute: int, redis_url: str | None) -> None:
        self._minute = RateLimitItemPerMinute(max(requests_per_minute, 1))
        self._policy = Policy("requests", requests_per_minute, ";w=60")
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = _shared(redis_url)
        self._alone_until = 0.0

    async def admit(self, tenant: str) -> dict[str, str]:
        """Count a request; return headers that tell what is left. Raises QuotaExceeded."""
        if self._policy.quota == 0:
            return {}
        passed, remaining, seconds = await self._count(tenant)
        if not passed:
            detail = f"More than {self._policy.quota} requests of this tenant within a minute."
            raise self._policy.exceeded(detail, seconds)
        return self._policy.headers(remaining, seconds)

    async def _count(self, tenant: str) -> tuple[bool, int, int]:
        if self._shared is not None and time.monotonic() >= self._alone_until:
            try:
                return await self._counted_by(self._shared, tenant)
            except (
                Exception
            ) as error:  # whatever the way to Redis raises: it must not close the API
                log.warning("requests are counted by this process alone: %s", error)
                self._alone_until = time.monotonic() + ALONE_SECONDS
        return await self._counted_by(self._here, tenant)

    async def _counted_by(
        self, limiter: SlidingWindowCounterRateLimiter, tenant: str
    ) -> tuple[bool, int, int]:
        passed = await limiter.hit(self._minute, tenant)
        stats = await limiter.get_window_stats(self._minute, tenant)
        return passed, stats.remaining, max(math.ceil(stats.reset_time - time.time()), 1)


def _shared(redis_url: str | None) -> SlidingWindowCounterRateLimiter | None:
    if redis_url is None:
        return None
    storage = RedisStorage(
        f"async+{redis_url}",
        implementation="redispy",
        key_prefix="eigenpress:rate",
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )
    return SlidingWindowCounterRateLimiter(storage)
