"""Video quality of imagined rollouts, as the paper's Tables 1 and 4 measure it, each number named by what made it."""
