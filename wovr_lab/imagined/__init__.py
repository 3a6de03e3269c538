"""The world model as a simulator: the same environment contract as the real one."""
