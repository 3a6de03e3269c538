"""The world model: codec, action-conditioned Wan transformer, flow sampler, context, training (paper section 2)."""
