"""How the labels of an audit are spread over the cells, so that few of them decide a question."""
