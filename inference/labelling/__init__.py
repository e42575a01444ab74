"""What people are asked and what they answered: batches of items, their queue, their judgements."""
