"""Models and episodes that wovr_lab ships; `wovr_lab.shipped` finds them."""
