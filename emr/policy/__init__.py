"""The rights of whoever runs `trueup emr …`, made from the template: what CloudFormation's handlers call, and we ourselves."""
