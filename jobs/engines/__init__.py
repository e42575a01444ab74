"""Three engines, a folder each: `embedded`, `spark`, `mapreduce`; `engine.py` in it has `count(storage, days, question)`.

Beside them lies what engines share: the question, the files of its days, and arithmetic on columns; and `rules.py`. No engine
uses `distinct.py`: it is rule 2 for what looks at predictions beside the counts.
"""
