"""The Realm Management Monitor, RMM 1.0-rel0: every RMI, RSI and PSCI call, with no emulator beneath it."""
