"""The real world: simulators, their pictures, experts, scripted play, and the vectorised environment around them."""
