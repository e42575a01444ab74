"""The examples of `trueup --help`, apart from the others because that help is to load nothing."""

FIRST_STEPS = ("trueup demo                                       two minutes, no set-up",
               "trueup serve --root demo-root --model digits --no-auth   its pages",
               "trueup evaluate --root demo-root --model digits   how good is it?",
               "trueup import labels --help                       bring your own")
