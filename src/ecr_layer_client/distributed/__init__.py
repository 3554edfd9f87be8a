"""Check tables of any size, on one machine or on many: with Ray, Spark, Dask or plain processes.

An engine reads the tables, splits them, and repeats what was lost. This package checks one part of
a table, in whichever process the engine calls it. Needs the extra `arrow`. It imports no engine.
"""

from ._redis_limiter import RedisLimiter
from ._roles import AssumedRole
from ._table_auditor import TableAuditor
from ._table_checker import TableChecker

__all__ = ["AssumedRole", "RedisLimiter", "TableAuditor", "TableChecker"]
