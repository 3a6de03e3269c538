"""Reports as pages and in the terminal: what a run or a study of runs has to say, in words, tables and figures."""
