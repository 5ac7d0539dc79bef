"""Counters and times of this process, for a /metrics page.

metrics() gives them as a dictionary, metrics_text() in Prometheus' text format.
What the server sees of the same work is in dbutil.statements and its like; these
are the client's side: the wait for a connection, the network, the driver.
One lock, held for a few additions.
"""

import threading

# seconds; each is counted in the first bucket whose bound it does not exceed
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MAX_SERIES = 2000       # of one name: beyond, labels are counted as <other>

HELP = {
    "db_client_connection_count": "connections by state",
    "db_client_connection_max": "connections at most",
    "db_client_connection_pending_requests": "callers that wait for a connection",
    "db_client_connection_timeouts": "waits for a connection that met their deadline",
    "db_client_connection_create_time": "seconds to make a connection",
    "db_client_connection_create_errors": "attempts to connect that failed, by SQLSTATE",
    "db_client_connection_wait_time": "seconds until a connection was lent",
    "db_client_connection_use_time": "seconds that a connection was lent",
    "db_client_connection_closed": "connections closed",
    "dbutil_breaker_state": "1 for the state that the circuit breaker is in",
    "dbutil_transaction_ends": "transactions of sessions by outcome",
    "dbutil_retries": "attempts of transactions beyond the first",
    "dbutil_retries_denied": "attempts that the retry budget did not allow",
    "dbutil_query_time": "seconds of calls of functions under track_query_performance",
    "dbutil_query_errors": "of these those that raised, by SQLSTATE or class",
    "dbutil_prepared_time": "seconds of executions of prepared statements",
    "dbutil_prepared_errors": "of these those that raised, by SQLSTATE or class",
    "dbutil_prepared_prepares": "statements prepared in a session",
    "dbutil_prepared_statements": "prepared statements that this process has used",
    "dbutil_bulk_time": "seconds of bulk calls",
    "dbutil_bulk_errors": "of these those that raised, by SQLSTATE or class",
    "dbutil_bulk_rows": "rows given to bulk calls",
    "dbutil_transaction_time": "seconds of blocks under track_transaction",
    "dbutil_transactions": "transactions in these blocks by outcome",
}

_lock = threading.Lock()
_counters = {}          # name: {labels: value}
_times = {}             # name: {labels: [count, sum, max, bucket counts]}
_gauges = []            # functions that give (name, labels, value)


def _series(store, name, labels, new):
    """The entry of a series, made if need be. Under the lock."""
    series = store.setdefault(name, {})
    key = tuple(sorted((label, str(value)) for label, value in labels.items()))
    if key not in series:
        if len(series) >= MAX_SERIES:
            key = tuple((label, "<other>") for label, _ in key)
        series.setdefault(key, new())
    return series, key


def count(metric, /, by=1, **labels):
    with _lock:
        series, key = _series(_counters, metric, labels, int)
        series[key] += by


def observe(metric, seconds, /, **labels):
    with _lock:
        series, key = _series(_times, metric, labels, lambda: [0, 0.0, 0.0, [0] * (len(BOUNDS) + 1)])
        entry = series[key]
        entry[0] += 1
        entry[1] += seconds
        entry[2] = max(entry[2], seconds)
        for i, bound in enumerate(BOUNDS):
            if seconds <= bound:
                entry[3][i] += 1
                break
        else:
            entry[3][-1] += 1


def add_gauges(function):
    """function() gives (name, labels, value) for each gauge, now."""
    _gauges.append(function)


def _now():
    gauges = {}
    for function in list(_gauges):
        for name, labels, value in function():
            gauges.setdefault(name, {})[tuple(sorted(labels.items()))] = value
    return gauges


def metrics():
    """All metrics: {name: [{labels, value}]}; of times {labels, count, sum, max}, in seconds."""
    out = {name: [{"labels": dict(key), "value": value} for key, value in series.items()]
           for name, series in _now().items()}
    with _lock:
        for name, series in _counters.items():
            out[name] = [{"labels": dict(key), "value": value} for key, value in series.items()]
        for name, series in _times.items():
            out[name] = [{"labels": dict(key), "count": entry[0], "sum": entry[1], "max": entry[2]}
                         for key, entry in series.items()]
    return out


def _label(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _line(name, key, value, **more):
    labels = ",".join('%s="%s"' % (label, _label(str(text))) for label, text in (*key, *more.items()))
    return "%s%s %s" % (name, "{%s}" % labels if labels else "", value)


def metrics_text():
    """All metrics in Prometheus' text format."""
    lines = []

    def head(name, kind):
        lines.append("# HELP %s %s" % (name, HELP[name.removesuffix("_total").removesuffix("_seconds")]))
        lines.append("# TYPE %s %s" % (name, kind))

    for name, series in sorted(_now().items()):
        head(name, "gauge")
        lines += [_line(name, key, value) for key, value in sorted(series.items())]
    with _lock:
        for name, series in sorted(_counters.items()):
            head(name + "_total", "counter")
            lines += [_line(name + "_total", key, value) for key, value in sorted(series.items())]
        for name, series in sorted(_times.items()):
            head(name + "_seconds", "histogram")
            for key, (number, total, _, buckets) in sorted(series.items()):
                so_far = 0
                for bound, in_bucket in zip((*map(str, BOUNDS), "+Inf"), buckets):
                    so_far += in_bucket
                    lines.append(_line(name + "_seconds_bucket", key, so_far, le=bound))
                lines.append(_line(name + "_seconds_sum", key, "%.9f" % total))
                lines.append(_line(name + "_seconds_count", key, number))
    return "\n".join(lines) + "\n"


def reset_metrics():
    """Forget counters and times, as for a test or in a forked child."""
    with _lock:
        _counters.clear()
        _times.clear()


def after_fork():
    global _lock
    _lock = threading.Lock()
