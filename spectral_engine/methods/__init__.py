"""What a user can ask for, one file each, and what these share: budgets, schedules, ranking, selection."""
