"""Which GPUs of which server hold which model, and a proof of how good that is."""
