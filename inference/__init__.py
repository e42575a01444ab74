"""The online half: network, preprocessing, predictor; service, batching, durable log, review queue, web pages."""
