"""What goes out: tables of results in data/results and the README, a finished run made small enough to ship."""
