"""The learned reward: a success classifier on frames, and the rule that turns its answers into latched success."""
