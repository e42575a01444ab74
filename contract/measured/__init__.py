"""What is measured of pictures, and the documents that keep it per day and per dataset."""
