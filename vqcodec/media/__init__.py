"""What is done with files whatever their medium: each goes to the part that knows it."""
