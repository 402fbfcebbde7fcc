"""Who answers: one dialect a file behind `ports.provider`; SDKs are imported when they are first used."""
