"""The ``egress`` and ``remote`` commands."""
