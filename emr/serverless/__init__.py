"""EMR Serverless: its jobs, its account, following them."""
