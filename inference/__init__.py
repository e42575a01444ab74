"""The online half: network, preprocessing, predictor; the service with its batching, durable log and pages."""
