"""wovr_lab: world models as reliable simulators for post-training VLA policies. Importing it registers the tabletop."""

import gymnasium

gymnasium.register(id="wovr_lab/Tabletop-v0", entry_point="wovr_lab.real.tabletop:TabletopEnv")
