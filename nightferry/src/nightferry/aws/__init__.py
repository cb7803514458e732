"""The backend on AWS, and the operations that people run there by hand: verify, redrive, roll back."""
