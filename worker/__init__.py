"""Workers: take jobs from the queue and run the engine on them, each in a process of its own."""
