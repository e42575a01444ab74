"""From labelled predictions to a training set: which rows, which split, which pictures, written by Petastorm."""
