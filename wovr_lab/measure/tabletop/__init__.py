"""What can be measured where the scene is known: the tabletop's cubes and hand, in its states and in pictures."""
