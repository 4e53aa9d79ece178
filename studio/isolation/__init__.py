"""Engines in an environment of their own: a worker process that keeps its model warm.

`host.Worker` starts `worker.py` under another interpreter and calls methods of one object there;
arrays travel over pipes as they lie in memory. `wire.py` and `worker.py` need the standard library
and numpy only, so that they run in whatever environment an engine needs.
"""
