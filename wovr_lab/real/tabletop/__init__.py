"""The tabletop, the embedded real world: scene, pictures, tasks, expert, scripted play."""
