"""What Prometheus is told of the models beside the service's own figures; the dashboard and the alert rules over it."""
