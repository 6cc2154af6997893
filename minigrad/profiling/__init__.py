"""Where the time goes: `minigrad.profile`. What is measured, by what, and how it is shown."""
