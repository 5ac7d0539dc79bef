"""dbutil for Python: sessions, prepared statements, bulk writes and monitoring.

Thin, over SQLAlchemy's and asyncpg's own pools and the dbutil extension of the
server. Start with docs/python.md.
"""

from .breaker import Unavailable
from .bulk import BulkResult, bulk_delete, bulk_insert, bulk_update
from .errors import sqlstate
from .meters import metrics, metrics_text, reset_metrics
from .pool import aclose_all_pools, close_all_pools, get_connection_pool
from .prepared import execute_prepared_statement, with_prepared_statement
from .sessions import get_async_db_session, get_sync_db_session
from .settings import configure
from .tracking import analyze_query, check_database_health, track_query_performance, track_transaction
from .transactions import DeadlineExceeded, OutcomeUnknown, run_transaction

__version__ = "0.1.0"
__all__ = [
    "BulkResult", "DeadlineExceeded", "OutcomeUnknown", "Unavailable", "aclose_all_pools", "analyze_query",
    "bulk_delete", "bulk_insert", "bulk_update", "check_database_health", "close_all_pools", "configure",
    "execute_prepared_statement", "get_async_db_session", "get_connection_pool", "get_sync_db_session",
    "metrics", "metrics_text", "reset_metrics", "run_transaction", "sqlstate", "track_query_performance",
    "track_transaction", "with_prepared_statement",
]
