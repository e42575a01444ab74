"""`trueup demo`: the whole loop on scikit-learn's digits, as a user would live it over a week."""
