"""What is not wrong but worth saying: secrets still to be filled in, and settings that hardly mean well."""

from __future__ import annotations

from gqm.config.formats import is_this_machine, split_host_port
from gqm.config.model import RedisConfig
from gqm.config.resolve import pool_queues
from gqm.config.review import Review
from gqm.config.rules import api_is_on, has_usable_key, is_embedded

__all__ = ["give_advice"]

_BCRYPT_COSTS = range(10, 15)


def give_advice(review: Review) -> None:
    """Report incomplete items and warnings."""
    for look in (_secrets, _keys_and_users, _redis, _prefix, _file_mode, _graces, _retries, _proxies):
        look(review)
    if review.flawless("pools", "queues"):
        _unread_queues(review)
        _unserved_cron(review)


# ---------------------------------------------------------------------------------------- secrets


def _secrets(review: Review) -> None:
    monitoring = review.config.monitoring
    for i, user in enumerate(monitoring.auth.users):
        path = f"monitoring.auth.users[{i}]"
        hash_path = f"{path}.password_hash"
        if monitoring.auth.enabled and review.given(hash_path) and not user.password_hash:
            name = review.show(f"{path}.username", user.username) or "NAME"
            command = review.command(f"set-password {name}")
            _unfilled(review, "N1", hash_path, f'no password for "{name}" yet; run {command}')
    for i, key in enumerate(monitoring.api.api_keys):
        path = f"monitoring.api.api_keys[{i}]"
        if not key.key and not key.key_hash and key.name and review.sound(f"{path}.key", f"{path}.key_hash"):
            name = review.show(f"{path}.name", key.name)
            command = review.command(f"add-api-key {name}")
            where = next((item for item in (f"{path}.key", f"{path}.key_hash") if review.given(item)), path)
            _unfilled(review, "N2", f"{path}.key", f'no key for "{name}" yet; run {command}', at=where)


def _unfilled(review: Review, rule: str, path: str, text: str, *, at: str = "") -> None:
    """Report an empty secret: it keeps the API from starting, so without the API it is only a warning."""
    if api_is_on(review):
        review.incomplete(rule, path, text, at=at)
    else:
        review.warning("W8", path, text, at=at)


def _keys_and_users(review: Review) -> None:
    monitoring = review.config.monitoring
    usable = False
    for i, key in enumerate(monitoring.api.api_keys):
        path = f"monitoring.api.api_keys[{i}].key"
        usable = usable or has_usable_key(key.key, key.key_hash)
        if key.key and review.spots[path].written:
            review.warning("W1", path, "the key stands in clear text; put its SHA-256 under key_hash instead")
    for i, user in enumerate(monitoring.auth.users):
        cost = user.password_hash[4:6]
        if user.password_hash.startswith("$2") and cost.isdecimal() and int(cost) not in _BCRYPT_COSTS:
            speed = "quick to guess" if int(cost) < _BCRYPT_COSTS.start else "slow to check"
            review.warning(
                "W11",
                f"monitoring.auth.users[{i}].password_hash",
                f"a bcrypt cost of {int(cost)} is {speed}; 12 is usual",
            )
    if monitoring.auth.enabled and not api_is_on(review):
        review.warning("W9", "monitoring.auth.enabled", "auth is on, but the API is off")
    if usable and not monitoring.auth.enabled and monitoring.dashboard.enabled:
        review.warning(
            "W14", "monitoring.api.api_keys", "browsers cannot log in to the dashboard while auth is off"
        )


# ------------------------------------------------------------------------------------------ redis


def _redis(review: Review) -> None:
    redis = review.config.redis
    where = next((name for name in ("url", "sentinels", "addr") if getattr(redis, name)), "")
    path = f"redis.{where}"
    if not where or review.own_client or not review.sound("redis"):
        return
    if not redis.password and not _url_has(redis, "password") and not _is_here(redis):
        review.warning("W6", path, "this Redis is on another machine, and no password is given for it")
    if redis.tls.insecure:
        review.warning("W7", "redis.tls.insecure", "the server's certificate is not verified")
    elif _url_has(redis, "unverified"):
        review.warning("W7", path, "the server's certificate is not verified")


def _url_has(redis: RedisConfig, what: str) -> bool:
    """Whether the URL brings a password, or leaves the certificate ``unverified``."""
    if not redis.url:
        return False
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(redis.url)
    query = parse_qs(parts.query)
    if what == "password":
        return bool(parts.password or query.get("password"))
    modes = query.get("ssl_cert_reqs", [])
    return parts.scheme == "rediss" and any(mode.lower() == "none" for mode in modes)


def _is_here(redis: RedisConfig) -> bool:
    if redis.sentinels:
        hosts = [split_host_port(item) for item in redis.sentinels]
        return all(parts is None or is_this_machine(parts[0]) for parts in hosts)
    if redis.url:
        from urllib.parse import urlsplit

        parts = urlsplit(redis.url)
        return parts.scheme == "unix" or is_this_machine(parts.hostname or "localhost")
    if is_embedded(redis.addr) or redis.addr.startswith("unix:"):
        return True
    address = split_host_port(redis.addr)
    return address is None or is_this_machine(address[0])


def _prefix(review: Review) -> None:
    redis = review.config.redis
    if review.given("redis.prefix") and not redis.exact_prefix and not redis.prefix.endswith(":"):
        prefix = review.show("redis.prefix", redis.prefix)
        review.warning("W12", "redis.prefix", f'prefix "{prefix}" is used as "{prefix}:"')


def _file_mode(review: Review) -> None:
    if review.mode is None or not review.mode & 0o044:
        return
    secret = _first_secret(review)
    if secret:
        review.warning(
            "W13",
            secret,
            f"others can read this file (mode {review.mode:04o}) and it holds secrets; make it 0600",
        )


def _first_secret(review: Review) -> str:
    """Return the path of the first secret that stands in the file itself, or nothing."""
    config = review.config
    values = {"redis.password": config.redis.password}
    if _url_has(config.redis, "password"):
        values["redis.url"] = config.redis.url
    for i, user in enumerate(config.monitoring.auth.users):
        values[f"monitoring.auth.users[{i}].password_hash"] = user.password_hash
    for i, key in enumerate(config.monitoring.api.api_keys):
        values[f"monitoring.api.api_keys[{i}].key"] = key.key
        values[f"monitoring.api.api_keys[{i}].key_hash"] = key.key_hash
    spots = {path: review.spots[path] for path, value in values.items() if value and review.given(path)}
    written = [path for path, spot in spots.items() if spot.written and spot.place.line]
    return min(written, key=lambda path: (spots[path].place.line, spots[path].place.column), default="")


# ------------------------------------------------------------------------------------------ pools


def _graces(review: Review) -> None:
    app = review.config.app
    sections = [("app", app.grace_period_s, app.shutdown_timeout_s)]
    for i, pool in enumerate(review.config.pools):
        path = f"pools[{i}]"
        own_grace, own_shutdown = (
            review.given(f"{path}.grace_period"),
            review.given(f"{path}.shutdown_timeout"),
        )
        if own_grace or own_shutdown:
            grace_s = pool.grace_period_s if own_grace else app.grace_period_s
            shutdown_s = pool.shutdown_timeout_s if own_shutdown else app.shutdown_timeout_s
            sections.append((path, grace_s, shutdown_s))
    for path, grace_s, shutdown_s in sections:
        if grace_s > shutdown_s:
            grace, shutdown = f"{path}.grace_period", f"{path}.shutdown_timeout"
            at = grace if review.given(grace) else shutdown
            review.warning("W10", grace, "above shutdown_timeout: a stop cuts the grace short", at=at)


def _retries(review: Review) -> None:
    for i, pool in enumerate(review.config.pools):
        path = f"pools[{i}].retry.intervals"
        if pool.retry.intervals_s and pool.retry.backoff != "custom":
            review.warning("W3", path, 'has no effect without backoff "custom"')


def _proxies(review: Review) -> None:
    api = review.config.monitoring.api
    if api.trust_proxy and not api.trusted_proxies and review.sound("monitoring.api.trusted_proxies"):
        review.warning("W2", "monitoring.api.trust_proxy", "has no effect without trusted_proxies")


def _unread_queues(review: Review) -> None:
    config = review.config
    if not config.pools:
        return
    read = {name for pool in config.pools for name in pool_queues(config, pool)}
    for i, queue in enumerate(config.queues):
        if queue.name and queue.name not in read:
            name = review.show(f"queues[{i}].name", queue.name)
            review.warning("W4", f"queues[{i}].name", f'no pool reads queue "{name}"')
    for i, pool in enumerate(config.pools):
        if "*" in pool.job_types and "default" not in pool_queues(config, pool):
            name = review.show(f"pools[{i}].name", pool.name)
            review.warning(
                "W4", f"pools[{i}].queues", f'the catch-all pool "{name}" does not read queue "default"'
            )


def _unserved_cron(review: Review) -> None:
    config = review.config
    served = {job_type for pool in config.pools for job_type in pool.job_types}
    if not served or "*" in served:
        return
    for i, entry in enumerate(config.scheduler.cron_entries):
        path = f"scheduler.cron_entries[{i}].job_type"
        if entry.job_type and entry.job_type not in served:
            name = review.show(path, entry.job_type)
            review.warning("W5", path, f'no pool lists job type "{name}", and there is no catch-all')
