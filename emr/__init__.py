"""The loop on Amazon EMR: packages, clusters, steps, roles, schedule, template, estimates."""
