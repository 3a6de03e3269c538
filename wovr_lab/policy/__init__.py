"""The policy: action tokens, a small vision-language-action model, and imitation (paper section 1)."""
