"""The pages of accounts that are no tables: signing in, one's own account, links from mails, and the step-up."""
