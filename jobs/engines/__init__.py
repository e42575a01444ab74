"""Three engines, a folder each: `embedded`, `spark`, `mapreduce`; `engine.py` in it has `count(storage, days, question)`.

Beside them lies what engines share: the question, the files of its days, and arithmetic on columns; `rules.py`, which is the
mapreduce engine's; and `distinct.py`, which no engine uses: rule 2 for code that reads predictions and counts nothing.
"""
