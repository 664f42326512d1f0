"""The management API of accounts, as the contract has it."""
