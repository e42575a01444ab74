"""The MapReduce engine: mrjob, whose reducer is the rules in plain Python for one prediction."""
