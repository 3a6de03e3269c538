"""LIBERO, the benchmark of the paper (sections 5, 6): tasks, simulator, experts.

It needs the `libero` extra (`make libero`). The rest of the package imports nothing from here unless LIBERO is asked
for by name.
"""
