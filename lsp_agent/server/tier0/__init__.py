"""What an editor without a plugin gets beyond requests and answers: progress, transcript, prompt document, commands."""
